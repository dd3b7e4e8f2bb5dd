//! What Linux puts on the stack of a new program: arguments, environment, auxiliary vector.

use core::ffi::CStr;
use core::slice;

/// What the program was started with. Valid for the whole life of the process.
#[derive(Clone, Copy)]
pub struct Start {
    args: &'static [*const u8],
    env: &'static [*const u8],
    auxv: *const [usize; 2],
}

impl Start {
    /// The arguments, the program's name first.
    pub fn args(&self) -> impl DoubleEndedIterator<Item = &'static CStr> + ExactSizeIterator + Clone {
        self.args.iter().map(|&text| c_str(text))
    }

    /// Argument `index` as UTF-8; `None` when there is none or it is not UTF-8. 0 is the program's name.
    pub fn arg(&self, index: usize) -> Option<&'static str> {
        self.args.get(index).and_then(|&text| c_str(text).to_str().ok())
    }

    /// The environment, `NAME=value` each.
    pub fn env(&self) -> impl Iterator<Item = &'static CStr> + Clone {
        self.env.iter().map(|&text| c_str(text))
    }

    /// The value of an environment variable.
    pub fn var(&self, name: &str) -> Option<&'static str> {
        self.env().filter_map(|entry| entry.to_str().ok()).find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='))
    }

    /// An entry of the auxiliary vector (`AT_PAGESZ`, …).
    pub fn aux(&self, kind: u32) -> Option<usize> {
        let mut entry = self.auxv;
        loop {
            // SAFETY: the vector ends with an entry of kind AT_NULL (0), where this stops.
            match unsafe { *entry } {
                [0, _] => return None,
                [found, value] if found == kind as usize => return Some(value),
                // SAFETY: not the last entry.
                _ => entry = unsafe { entry.add(1) },
            }
        }
    }
}

/// A string of the initial stack.
fn c_str(text: *const u8) -> &'static CStr {
    // SAFETY: the kernel put a NUL-terminated string there that no one changes.
    unsafe { CStr::from_ptr(text.cast()) }
}

unsafe extern "Rust" {
    /// The program, defined by [`program!`](crate::program).
    safe fn veridian_main(start: &Start) -> i32;
}

/// Where `_start` leads: `stack` is the stack pointer the program was started with.
///
/// # Safety
/// `stack` points to `argc`, followed by the pointers that the System V ABI describes.
pub(super) unsafe extern "C" fn start(stack: *const usize) -> ! {
    // SAFETY: argc, that many pointers, a null pointer, environment pointers, a null pointer, the auxiliary vector.
    let start = unsafe {
        let count = *stack;
        let args = stack.add(1).cast::<*const u8>();
        let env = args.add(count + 1);
        let mut env_count = 0;
        while !(*env.add(env_count)).is_null() {
            env_count += 1;
        }
        Start {
            args: slice::from_raw_parts(args, count),
            env: slice::from_raw_parts(env, env_count),
            auxv: env.add(env_count + 1).cast(),
        }
    };
    super::exit(veridian_main(&start))
}
