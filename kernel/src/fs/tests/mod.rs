//! Tests of the file system on the host.
