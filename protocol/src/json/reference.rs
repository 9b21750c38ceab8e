//! fastjson writes an object that it has met before as `{"$ref":"$.path"}`: Java brokers share one empty attribute map among topics.
//! The reader puts the object itself back; a path that leads nowhere becomes `null`.

use super::parse::VALUES_MAX;
use super::value::Value;
use crate::error::BodyError;

/// Replaces every reference by a copy of what it names in the text as it came.
pub(super) fn resolve(root: Value) -> Result<Value, BodyError> {
    let mut resolver = Resolver { root: &root, copies: 0 };
    resolver.copy(&root, true)
}

struct Resolver<'a> {
    root: &'a Value,
    copies: usize,
}

impl Resolver<'_> {
    /// A copy; inside of what a reference named, other references stay `null`, so that the copy always ends.
    fn copy(&mut self, value: &Value, follow: bool) -> Result<Value, BodyError> {
        self.copies += 1;
        if self.copies > VALUES_MAX {
            return Err(BodyError::TooLarge { max: VALUES_MAX });
        }
        if let Some(path) = reference(value) {
            return match find(self.root, path).filter(|_| follow) {
                Some(named) => self.copy(named, false),
                None => Ok(Value::Null),
            };
        }
        Ok(match value {
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.copy(item, follow)).collect::<Result<_, _>>()?)
            }
            Value::Object(members) => {
                let copy = |(key, value)| Ok((self.copy(key, follow)?, self.copy(value, follow)?));
                Value::Object(
                    members.iter().map(|(key, value)| (key, value)).map(copy).collect::<Result<_, _>>()?,
                )
            }
            scalar => scalar.clone(),
        })
    }
}

/// The path of a reference.
fn reference(value: &Value) -> Option<&str> {
    match value {
        Value::Object(members) => match &members[..] {
            [(Value::String(key), Value::String(path))] if key == "$ref" => Some(path),
            _ => None,
        },
        _ => None,
    }
}

/// Follows `$.name.name[3]`. A step named `null` means the member whose key is an object: fastjson has no better name for it,
/// and means the key itself.
fn find<'a>(root: &'a Value, path: &str) -> Option<&'a Value> {
    let mut at = root;
    for step in path.strip_prefix('$')?.split(['.', '[']).filter(|step| !step.is_empty()) {
        at = match at {
            Value::Array(items) => items.get(step.strip_suffix(']')?.parse::<usize>().ok()?)?,
            Value::Object(members) if step == "null" => {
                &members
                    .iter()
                    .find(|(key, _)| matches!(key, Value::Object(_)) && reference(key).is_none())?
                    .0
            }
            object => object.get(&step.replace('\\', ""))?,
        };
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use crate::json::{Json, parse};

    fn read(text: &str) -> String {
        String::from_utf8(parse(text.as_bytes()).unwrap().to_json().to_vec()).unwrap()
    }

    #[test]
    fn a_reference_is_what_it_names() {
        let shared =
            r#"{"t":{"A":{"attributes":{"k":[1,2]}},"B":{"attributes":{"$ref":"$.t.A.attributes"}}}}"#;
        assert_eq!(read(shared), r#"{"t":{"A":{"attributes":{"k":[1,2]}},"B":{"attributes":{"k":[1,2]}}}}"#);
        assert_eq!(read(r#"{"a":[{"x":1},{"$ref":"$.a[0]"}]}"#), r#"{"a":[{"x":1},{"x":1}]}"#);
        assert_eq!(
            read(r#"{"a":{{"q":1}:2},"b":{{"$ref":"$.a.null"}:3}}"#),
            r#"{"a":{{"q":1}:2},"b":{{"q":1}:3}}"#
        );
    }

    #[test]
    fn a_reference_to_nowhere_or_to_itself_is_null() {
        for path in ["$.x", "$.a", "..", "@", "$", "$[9]", "$.a[", ""] {
            let text = format!(r#"{{"a":{{"$ref":"{path}"}}}}"#);
            let _ = read(&text);
        }
        assert_eq!(read(r#"{"a":{"$ref":"$.x"}}"#), "{}");
    }

    #[test]
    fn references_cannot_multiply_without_end() {
        let big =
            format!(r#"{{"a":[{}],"b":[{}]}}"#, "1,".repeat(100_000), r#"{"$ref":"$.a"},"#.repeat(1000));
        assert!(parse(big.as_bytes()).is_err());
    }
}
