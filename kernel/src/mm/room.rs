//! Room in the kernel's heap, as much as a program asks for.

use alloc::vec::Vec;
use veridian_containers::abi::Errno;

/// `count` times `value`: ENOMEM where the heap has no room for it, which `vec!` would answer with a panic.
pub fn filled<T: Clone>(value: T, count: usize) -> Result<Vec<T>, Errno> {
    let mut room = Vec::new();
    room.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
    room.resize(count, value);
    Ok(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_there_is_room_for_is_refused() {
        assert_eq!(filled(7_u16, 3), Ok(alloc::vec![7; 3]));
        assert_eq!(filled(0_u8, isize::MAX as usize), Err(Errno::ENOMEM));
        assert_eq!(filled(0_u64, usize::MAX), Err(Errno::ENOMEM));
    }
}
