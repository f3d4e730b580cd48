//! What processes of the same run know, and nobody else on the machine.

/// 32 random bytes.
#[derive(Clone, Copy)]
pub struct Secret(pub(super) [u8; Self::LENGTH]);

impl Secret {
    pub(super) const LENGTH: usize = 32;

    /// A new one.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// As an environment variable holds it.
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads [`Self::to_hex`]; none for anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 2 * Self::LENGTH {
            return None;
        }
        let mut bytes = [0; Self::LENGTH];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            let (high, low) = (digit(pair[0])?, digit(pair[1])?);
            *byte = u8::try_from(16 * high + low).ok()?;
        }
        Some(Self(bytes))
    }

    /// Whether `others` are its bytes; takes as long however many of them are right.
    pub(super) fn is(&self, others: &[u8]) -> bool {
        let differences = self.0.iter().zip(others).map(|(own, other)| own ^ other);
        let differs = differences.fold(0, |all, difference| all | difference);
        differs == 0 && others.len() == Self::LENGTH
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(…)")
    }
}
