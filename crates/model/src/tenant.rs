//! Who data belongs to. A `TenantId` is safe as a path component and as an object key component by construction
//! (**I-TENANT-1**).

use std::sync::Arc;

/// A valid tenant id: 1 to 150 bytes of Mimir's set (letters, digits, `! - _ . * ' ( )`), never `.` or `..`, and
/// never beginning with one of Longhaul's own prefixes. (Facts: Mimir, "About authentication and authorization".)
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

/// Longest tenant id, bytes.
pub const TENANT_ID_BYTES_MAX: usize = 150;

/// Prefixes that Longhaul and Mimir keep for themselves beside the tenants of a bucket.
const RESERVED_PREFIXES: [&str; 2] = ["_longhaul", "__mimir"];

/// Why a text is no tenant id; the display form says what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTenantId {
    /// No byte at all.
    #[error("tenant ID is empty; it needs 1 to {TENANT_ID_BYTES_MAX} characters")]
    Empty,
    /// More bytes than allowed.
    #[error("tenant ID is too long: {0} bytes; the limit is {TENANT_ID_BYTES_MAX}")]
    TooLong(usize),
    /// A character outside the set.
    #[error("tenant ID contains the unsupported character {0:?}; letters, digits and ! - _ . * ' ( ) are supported")]
    Character(char),
    /// `.`, `..` or one of the reserved prefixes.
    #[error("tenant ID {0:?} is reserved")]
    Reserved(String),
}

impl TenantId {
    /// The tenant of a server without authentication.
    pub fn anonymous() -> Self {
        Self(Arc::from("anonymous"))
    }

    /// The only way from a text to a tenant id.
    pub fn parse(text: &str) -> Result<Self, InvalidTenantId> {
        if text.is_empty() {
            return Err(InvalidTenantId::Empty);
        }
        if text.len() > TENANT_ID_BYTES_MAX {
            return Err(InvalidTenantId::TooLong(text.len()));
        }
        if let Some(bad) = text.chars().find(|c| !c.is_ascii_alphanumeric() && !"!-_.*'()".contains(*c)) {
            return Err(InvalidTenantId::Character(bad));
        }
        if text == "." || text == ".." || RESERVED_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            return Err(InvalidTenantId::Reserved(text.to_owned()));
        }
        Ok(Self(Arc::from(text)))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for TenantId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for TenantId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for TenantId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// I-TENANT-1
    #[test]
    fn accepts_mimirs_set_and_nothing_that_could_leave_its_folder() {
        for good in ["a", "team-1", "A.b_c*d'(e)!", "...", &"x".repeat(150)] {
            assert_eq!(TenantId::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(TenantId::parse(""), Err(InvalidTenantId::Empty));
        assert_eq!(TenantId::parse(&"x".repeat(151)), Err(InvalidTenantId::TooLong(151)));
        for (bad, c) in
            [("a/b", '/'), ("a\\b", '\\'), ("a b", ' '), ("a\0", '\0'), ("ä", 'ä'), ("a|b", '|'), ("a%", '%')]
        {
            assert_eq!(TenantId::parse(bad), Err(InvalidTenantId::Character(c)));
        }
        for reserved in [".", "..", "_longhaul", "_longhaul-x", "__mimir_cluster"] {
            assert_eq!(TenantId::parse(reserved), Err(InvalidTenantId::Reserved(reserved.into())));
        }
    }
}
