//! The page that handlers of signals return to: a few instructions that make the system call rt_sigreturn. All programs
//! have the same one.

use alloc::sync::Arc;
use veridian_containers::abi::Errno;
use veridian_hal::{
    PAGE_SIZE, arch,
    mem::{Frame, OutOfFrames, Owner},
    sync::Once,
};
use zerocopy::IntoBytes;

use crate::{cgroup::MemoryGroup, mm::PageSource};

/// Where in the page the code to return to is: behind the instruction that stands before it for debuggers, if one does.
pub const OFFSET: usize = if arch::SIGNAL_RETURN_CODE.len() > 2 { 4 } else { 0 };

struct Page(Frame);

impl PageSource for Page {
    fn page(&self, _index: u64, _: &MemoryGroup) -> Result<Frame, Errno> {
        Ok(self.0.clone())
    }

    fn resident_page(&self, _index: u64) -> Option<Frame> {
        Some(self.0.clone())
    }

    fn length_bytes(&self) -> u64 {
        PAGE_SIZE as u64
    }
}

static PAGE: Once<Arc<Page>> = Once::new();

/// The page, made when the first program needs it.
pub fn page() -> Result<Arc<dyn PageSource>, OutOfFrames> {
    if let Some(page) = PAGE.get() {
        return Ok(page.clone());
    }
    let frame = Frame::zeroed(Owner::KERNEL)?;
    frame.write(0, arch::SIGNAL_RETURN_CODE.as_bytes());
    Ok(PAGE.call_once(|| Arc::new(Page(frame))).clone())
}
