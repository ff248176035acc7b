//! SHA-256 in hexadecimal: how parts are verified and definitions compared.

use sha2::{Digest as _, Sha256};

/// The SHA-256 of `bytes`, 64 lower-case hex digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    #[test]
    fn is_the_published_digest() {
        assert_eq!(super::hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
