//! Digests of image data.

use std::fmt;

use ::digest::Digest as Algorithm;

/// An algorithm that a Glance may state digests in (`hashing_algorithm`, any of
/// Python's `hashlib`; the default is `sha512`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of the algorithms say it")]
pub enum DigestAlgorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
    Blake2b,
    Blake2s,
}

impl DigestAlgorithm {
    const ALL: [Self; 12] = [
        Self::Md5,
        Self::Sha1,
        Self::Sha224,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
        Self::Sha3_224,
        Self::Sha3_256,
        Self::Sha3_384,
        Self::Sha3_512,
        Self::Blake2b,
        Self::Blake2s,
    ];

    /// Finds an algorithm by the name that `hashlib` has for it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The name that `hashlib` has for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha224 => "sha224",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
            Self::Sha3_224 => "sha3_224",
            Self::Sha3_256 => "sha3_256",
            Self::Sha3_384 => "sha3_384",
            Self::Sha3_512 => "sha3_512",
            Self::Blake2b => "blake2b",
            Self::Blake2s => "blake2s",
        }
    }

    /// Starts a digest.
    #[must_use]
    pub fn digester(self) -> Digester {
        let state: Box<dyn State> = match self {
            Self::Md5 => Box::<md5::Md5>::default(),
            Self::Sha1 => Box::<sha1::Sha1>::default(),
            Self::Sha224 => Box::<sha2::Sha224>::default(),
            Self::Sha256 => Box::<sha2::Sha256>::default(),
            Self::Sha384 => Box::<sha2::Sha384>::default(),
            Self::Sha512 => Box::<sha2::Sha512>::default(),
            Self::Sha3_224 => Box::<sha3::Sha3_224>::default(),
            Self::Sha3_256 => Box::<sha3::Sha3_256>::default(),
            Self::Sha3_384 => Box::<sha3::Sha3_384>::default(),
            Self::Sha3_512 => Box::<sha3::Sha3_512>::default(),
            Self::Blake2b => Box::<blake2::Blake2b512>::default(),
            Self::Blake2s => Box::<blake2::Blake2s256>::default(),
        };
        Digester {
            algorithm: self,
            state,
        }
    }
}

impl fmt::Display for DigestAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A digest of image data. Two are equal if they are of one algorithm and have the same
/// value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    algorithm: DigestAlgorithm,
    /// In lower-case hexadecimal.
    hex: String,
}

impl Digest {
    /// A digest that an end states, in hexadecimal of either case.
    #[must_use]
    pub fn new(algorithm: DigestAlgorithm, hex: &str) -> Self {
        let hex = hex.to_ascii_lowercase();
        Self { algorithm, hex }
    }

    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// The value, in lower-case hexadecimal.
    #[must_use]
    pub fn as_hex(&self) -> &str {
        &self.hex
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, self.hex)
    }
}

/// A digest in the making.
pub struct Digester {
    algorithm: DigestAlgorithm,
    state: Box<dyn State>,
}

/// As `digest::DynDigest`, but clones can change threads.
trait State: Send + Sync {
    fn update(&mut self, data: &[u8]);
    fn copy(&self) -> Box<dyn State>;
    fn finish(self: Box<Self>) -> Vec<u8>;
}

impl<D: Algorithm + Clone + Send + Sync + 'static> State for D {
    fn update(&mut self, data: &[u8]) {
        Algorithm::update(self, data);
    }

    fn copy(&self) -> Box<dyn State> {
        Box::new(self.clone())
    }

    fn finish(self: Box<Self>) -> Vec<u8> {
        self.finalize().to_vec()
    }
}

impl Digester {
    /// Takes in more data.
    pub fn update(&mut self, data: &[u8]) {
        self.state.update(data);
    }

    /// The digest of all that was taken in.
    #[must_use]
    pub fn finish(self) -> Digest {
        use fmt::Write as _;
        let hex = self
            .state
            .finish()
            .iter()
            .fold(String::new(), |mut hex, b| {
                let _ = write!(hex, "{b:02x}");
                hex
            });
        Digest {
            algorithm: self.algorithm,
            hex,
        }
    }
}

impl Clone for Digester {
    fn clone(&self) -> Self {
        Self {
            algorithm: self.algorithm,
            state: self.state.copy(),
        }
    }
}

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digester")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_hashlib() {
        for (name, of_abc) in [
            ("md5", "900150983cd24fb0d6963f7d28e17f72"),
            ("SHA1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (
                "sha256",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                "sha3_224",
                "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf",
            ),
            (
                "blake2s",
                "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982",
            ),
        ] {
            let mut digester = DigestAlgorithm::from_name(name).unwrap().digester();
            digester.update(b"a");
            digester.update(b"bc");
            assert_eq!(digester.finish().as_hex(), of_abc, "{name}");
        }
        assert!(DigestAlgorithm::from_name("crc32").is_none());
    }
}
