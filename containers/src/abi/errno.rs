//! Error numbers: the one error type that crosses the system-call boundary.
//!
//! Numbers are Linux's generic ones (`linux-raw-sys`), the same on x86_64, aarch64 and riscv64.

use core::fmt;
use core::num::NonZeroU16;

/// A Linux error number, 1 to [`Errno::MAX`]. Two bytes, and so is `Result<(), Errno>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(NonZeroU16);

impl Errno {
    /// The largest error number: a system call returns `-MAX..=-1` for an error, as on Linux.
    pub const MAX: u16 = 4095;

    /// The same number as [`Errno::EAGAIN`].
    pub const EWOULDBLOCK: Self = Self::EAGAIN;
    /// The same number as [`Errno::EDEADLK`].
    pub const EDEADLOCK: Self = Self::EDEADLK;

    /// The error of a number, `None` outside 1 to [`Errno::MAX`].
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        match NonZeroU16::new(number) {
            Some(number) if number.get() <= Self::MAX => Some(Self(number)),
            _ => None,
        }
    }

    /// The positive error number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    /// What a system call returns for this error: the negated number.
    #[must_use]
    pub const fn to_return(self) -> isize {
        -(self.0.get() as isize)
    }

    /// Reads what a system call returned: `-4095..=-1` is an error, all else a value.
    ///
    /// # Errors
    /// The error that `returned` stands for.
    pub const fn from_return(returned: isize) -> Result<usize, Self> {
        if returned < 0 && returned >= -(Self::MAX as isize) {
            match Self::new(returned.unsigned_abs() as u16) {
                Some(errno) => Err(errno),
                None => Ok(returned as usize),
            }
        } else {
            Ok(returned as usize)
        }
    }

    /// The symbolic name, `"ENOENT"`; `"E?"` for a number that Linux does not name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.entry().0
    }

    /// The short text of `strerror(3)`.
    #[must_use]
    pub const fn text(self) -> &'static str {
        self.entry().1
    }

    const fn entry(self) -> (&'static str, &'static str) {
        match TABLE[if (self.get() as usize) < TABLE.len() { self.get() as usize } else { 0 }] {
            Some(entry) => entry,
            None => ("E?", "Unknown error"),
        }
    }
}

impl From<Errno> for isize {
    fn from(errno: Errno) -> Self {
        errno.to_return()
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.text())
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.get())
    }
}

impl core::error::Error for Errno {}

/// One past the largest number in the table.
const TABLE_LEN: usize = linux_raw_sys::errno::EHWPOISON as usize + 1;
static TABLE: [Option<(&str, &str)>; TABLE_LEN] = Errno::table();

macro_rules! errnos {
    ($($name:ident = $text:literal;)*) => {
        impl Errno {
            $(
                #[doc = concat!("`", stringify!($name), "`: ", $text, ".")]
                pub const $name: Self = match Self::new(linux_raw_sys::errno::$name as u16) {
                    Some(errno) => errno,
                    None => panic!("error numbers are 1 to 4095"),
                };
            )*

            const fn table() -> [Option<(&'static str, &'static str)>; TABLE_LEN] {
                let mut table = [None; TABLE_LEN];
                $(table[Self::$name.get() as usize] = Some((stringify!($name), $text));)*
                table
            }
        }
    };
}

errnos! {
    EPERM = "Operation not permitted";
    ENOENT = "No such file or directory";
    ESRCH = "No such process";
    EINTR = "Interrupted system call";
    EIO = "Input/output error";
    ENXIO = "No such device or address";
    E2BIG = "Argument list too long";
    ENOEXEC = "Exec format error";
    EBADF = "Bad file descriptor";
    ECHILD = "No child processes";
    EAGAIN = "Resource temporarily unavailable";
    ENOMEM = "Cannot allocate memory";
    EACCES = "Permission denied";
    EFAULT = "Bad address";
    ENOTBLK = "Block device required";
    EBUSY = "Device or resource busy";
    EEXIST = "File exists";
    EXDEV = "Invalid cross-device link";
    ENODEV = "No such device";
    ENOTDIR = "Not a directory";
    EISDIR = "Is a directory";
    EINVAL = "Invalid argument";
    ENFILE = "Too many open files in system";
    EMFILE = "Too many open files";
    ENOTTY = "Inappropriate ioctl for device";
    ETXTBSY = "Text file busy";
    EFBIG = "File too large";
    ENOSPC = "No space left on device";
    ESPIPE = "Illegal seek";
    EROFS = "Read-only file system";
    EMLINK = "Too many links";
    EPIPE = "Broken pipe";
    EDOM = "Numerical argument out of domain";
    ERANGE = "Numerical result out of range";
    EDEADLK = "Resource deadlock avoided";
    ENAMETOOLONG = "File name too long";
    ENOLCK = "No locks available";
    ENOSYS = "Function not implemented";
    ENOTEMPTY = "Directory not empty";
    ELOOP = "Too many levels of symbolic links";
    ENOMSG = "No message of desired type";
    EIDRM = "Identifier removed";
    ECHRNG = "Channel number out of range";
    EL2NSYNC = "Level 2 not synchronized";
    EL3HLT = "Level 3 halted";
    EL3RST = "Level 3 reset";
    ELNRNG = "Link number out of range";
    EUNATCH = "Protocol driver not attached";
    ENOCSI = "No CSI structure available";
    EL2HLT = "Level 2 halted";
    EBADE = "Invalid exchange";
    EBADR = "Invalid request descriptor";
    EXFULL = "Exchange full";
    ENOANO = "No anode";
    EBADRQC = "Invalid request code";
    EBADSLT = "Invalid slot";
    EBFONT = "Bad font file format";
    ENOSTR = "Device not a stream";
    ENODATA = "No data available";
    ETIME = "Timer expired";
    ENOSR = "Out of streams resources";
    ENONET = "Machine is not on the network";
    ENOPKG = "Package not installed";
    EREMOTE = "Object is remote";
    ENOLINK = "Link has been severed";
    EADV = "Advertise error";
    ESRMNT = "Srmount error";
    ECOMM = "Communication error on send";
    EPROTO = "Protocol error";
    EMULTIHOP = "Multihop attempted";
    EDOTDOT = "RFS specific error";
    EBADMSG = "Bad message";
    EOVERFLOW = "Value too large for defined data type";
    ENOTUNIQ = "Name not unique on network";
    EBADFD = "File descriptor in bad state";
    EREMCHG = "Remote address changed";
    ELIBACC = "Can not access a needed shared library";
    ELIBBAD = "Accessing a corrupted shared library";
    ELIBSCN = ".lib section in a.out corrupted";
    ELIBMAX = "Attempting to link in too many shared libraries";
    ELIBEXEC = "Cannot exec a shared library directly";
    EILSEQ = "Invalid or incomplete multibyte or wide character";
    ERESTART = "Interrupted system call should be restarted";
    ESTRPIPE = "Streams pipe error";
    EUSERS = "Too many users";
    ENOTSOCK = "Socket operation on non-socket";
    EDESTADDRREQ = "Destination address required";
    EMSGSIZE = "Message too long";
    EPROTOTYPE = "Protocol wrong type for socket";
    ENOPROTOOPT = "Protocol not available";
    EPROTONOSUPPORT = "Protocol not supported";
    ESOCKTNOSUPPORT = "Socket type not supported";
    EOPNOTSUPP = "Operation not supported";
    EPFNOSUPPORT = "Protocol family not supported";
    EAFNOSUPPORT = "Address family not supported by protocol";
    EADDRINUSE = "Address already in use";
    EADDRNOTAVAIL = "Cannot assign requested address";
    ENETDOWN = "Network is down";
    ENETUNREACH = "Network is unreachable";
    ENETRESET = "Network dropped connection on reset";
    ECONNABORTED = "Software caused connection abort";
    ECONNRESET = "Connection reset by peer";
    ENOBUFS = "No buffer space available";
    EISCONN = "Transport endpoint is already connected";
    ENOTCONN = "Transport endpoint is not connected";
    ESHUTDOWN = "Cannot send after transport endpoint shutdown";
    ETOOMANYREFS = "Too many references: cannot splice";
    ETIMEDOUT = "Connection timed out";
    ECONNREFUSED = "Connection refused";
    EHOSTDOWN = "Host is down";
    EHOSTUNREACH = "No route to host";
    EALREADY = "Operation already in progress";
    EINPROGRESS = "Operation now in progress";
    ESTALE = "Stale file handle";
    EUCLEAN = "Structure needs cleaning";
    ENOTNAM = "Not a XENIX named type file";
    ENAVAIL = "No XENIX semaphores available";
    EISNAM = "Is a named type file";
    EREMOTEIO = "Remote I/O error";
    EDQUOT = "Disk quota exceeded";
    ENOMEDIUM = "No medium found";
    EMEDIUMTYPE = "Wrong medium type";
    ECANCELED = "Operation canceled";
    ENOKEY = "Required key not available";
    EKEYEXPIRED = "Key has expired";
    EKEYREVOKED = "Key has been revoked";
    EKEYREJECTED = "Key was rejected by service";
    EOWNERDEAD = "Owner died";
    ENOTRECOVERABLE = "State not recoverable";
    ERFKILL = "Operation not possible due to RF-kill";
    EHWPOISON = "Memory page has hardware error";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn an_errno_survives_the_way_through_a_return_value() {
        for number in 1..=Errno::MAX {
            let errno = Errno::new(number).unwrap();
            assert_eq!(Errno::from_return(errno.to_return()), Err(errno));
        }
        assert_eq!(Errno::new(0), None);
        assert_eq!(Errno::new(4096), None);
        assert_eq!(Errno::from_return(0), Ok(0));
        assert_eq!(Errno::from_return(isize::MAX), Ok(isize::MAX as usize));
        assert_eq!(Errno::from_return(-4096), Ok(-4096_isize as usize));
        assert_eq!(size_of::<Result<(), Errno>>(), 2);
    }

    #[test]
    fn names_and_texts_are_linux_s() {
        assert_eq!(Errno::ENOENT.to_string(), "ENOENT: No such file or directory");
        assert_eq!(Errno::EHWPOISON.get(), 133);
        assert_eq!(Errno::new(41).unwrap().name(), "E?");
        assert_eq!(Errno::new(4095).unwrap().name(), "E?");
        assert_eq!(Errno::EWOULDBLOCK, Errno::EAGAIN);
        let named = (1..=133).filter(|&n| Errno::new(n).unwrap().name() != "E?").count();
        assert_eq!(named, 131);
    }
}
