//! Device nodes of the configuration.

use super::Kernel;
use crate::task::Thread;
use veridian_containers::{
    abi::Errno,
    config::Device,
    engine::{Error, House},
};

/// Makes one node.
pub fn make(_caller: &Thread, _house: House<'_, Kernel>, _device: &Device) -> Result<(), Error> {
    Err(Error::new(Errno::ENOSYS).reason("device nodes cannot be made yet"))
}
