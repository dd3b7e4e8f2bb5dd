//! A configuration to begin with.

use alloc::{format, string::String};

use serde_json::json;

use super::Outcome;
use crate::containers::{
    file::{self, Existing},
    words::Words,
};

/// A root that cannot be changed, with its own processes, mounts and host name, and devices and a place to write.
pub(super) fn spec(words: &Words) -> Outcome {
    let operands = words.operands();
    let args = if operands.is_empty() { &["sh"][..] } else { &operands };
    let config = json!({
        "ociVersion": "1.0.2",
        "root": { "path": "rootfs", "readonly": true },
        "hostname": "veridian",
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": args,
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "noNewPrivileges": true
        },
        "mounts": [
            { "destination": "/dev", "type": "dev", "source": "dev", "options": ["nosuid", "noexec"] },
            { "destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "noexec"] }
        ],
        "linux": { "namespaces": [{ "type": "pid" }, { "type": "mount" }, { "type": "uts" }] }
    });
    let text: String = serde_json::to_string_pretty(&config).map_err(|error| format!("{error}"))? + "\n";
    let directory = words.value("bundle").unwrap_or(".");
    file::write(&format!("{}/config.json", directory.trim_end_matches('/')), text.as_bytes(), Existing::Refuse)?;
    Ok(0)
}
