//! fastjson writes an object that it has met before as `{"$ref":"$.path"}`: Java brokers share one empty attribute map among topics.
//! The reader puts the object itself back; a path that leads nowhere becomes `null`.

use super::parse::VALUES_MAX;
use super::value::Value;
use crate::error::BodyError;
use std::collections::HashMap;

/// Replaces every reference by a copy of what it names in the text as it came.
pub(super) fn resolve(root: Value) -> Result<Value, BodyError> {
    let mut resolver = Resolver { root: &root, copies: 0, looks: 0, indexes: HashMap::new() };
    resolver.copy(&root, true)
}

struct Resolver<'a> {
    root: &'a Value,
    copies: usize,
    /// Steps of paths, and members that were looked at to find where they lead.
    looks: usize,
    /// Of the objects that paths led through, by where they are in memory.
    indexes: HashMap<*const Value, Index<'a>>,
}

impl<'a> Resolver<'a> {
    /// A copy; inside of what a reference named, other references stay `null`, so that the copy always ends.
    fn copy(&mut self, value: &Value, follow: bool) -> Result<Value, BodyError> {
        self.count_copy(value, follow)?;
        if let Some(path) = reference(value) {
            // What a reference within a copy names is not even looked for: it may be copied many times.
            return match if follow { self.find(path)? } else { None } {
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

    /// Counts a copy; a text that a reference multiplies counts by its length, so that memory is limited too.
    fn count_copy(&mut self, value: &Value, follow: bool) -> Result<(), BodyError> {
        let text_bytes = value.as_str().filter(|_| !follow).map_or(0, str::len);
        self.copies += 1 + text_bytes / size_of::<Value>();
        if self.copies > VALUES_MAX { Err(BodyError::TooLarge { max: VALUES_MAX }) } else { Ok(()) }
    }

    /// Follows `$.name.name[3]`.
    fn find(&mut self, path: &str) -> Result<Option<&'a Value>, BodyError> {
        let Some(steps) = path.strip_prefix('$') else { return Ok(None) };
        let mut at = self.root;
        for step in steps.split(['.', '[']).filter(|step| !step.is_empty()) {
            match self.step(at, step)? {
                Some(next) => at = next,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// One step of a path.
    fn step(&mut self, at: &'a Value, step: &str) -> Result<Option<&'a Value>, BodyError> {
        self.look(1)?;
        match at {
            Value::Array(items) => {
                let number = step.strip_suffix(']').and_then(|number| number.parse::<usize>().ok());
                Ok(number.and_then(|number| items.get(number)))
            }
            Value::Object(members) => Ok(self.index(at, members)?.find(step)),
            _ => Ok(None),
        }
    }

    /// The index of an object, made when a path first leads through it.
    fn index(&mut self, object: &'a Value, members: &'a [(Value, Value)]) -> Result<&Index<'a>, BodyError> {
        let at = std::ptr::from_ref(object);
        if !self.indexes.contains_key(&at) {
            self.look(members.len())?;
        }
        Ok(self.indexes.entry(at).or_insert_with(|| Index::new(members)))
    }

    /// Counts steps and members that are looked at, as values are counted.
    fn look(&mut self, count: usize) -> Result<(), BodyError> {
        self.looks += count;
        if self.looks > VALUES_MAX { Err(BodyError::TooLarge { max: VALUES_MAX }) } else { Ok(()) }
    }
}

/// The members of one object by name. A hundred thousand topics may refer to the map of one: without this, each of their
/// references would look through all of them.
struct Index<'a> {
    /// Of members with one name the last, as [`Value::get`] has it.
    named: HashMap<&'a str, &'a Value>,
    /// The first key that is an object.
    object_key: Option<&'a Value>,
}

impl<'a> Index<'a> {
    fn new(members: &'a [(Value, Value)]) -> Self {
        let named = members.iter().filter_map(|(key, value)| Some((key.as_str()?, value))).collect();
        let is_object = |key: &&Value| matches!(key, Value::Object(_)) && reference(key).is_none();
        Self { named, object_key: members.iter().map(|(key, _)| key).find(is_object) }
    }

    /// A step named `null` means the member whose key is an object: fastjson has no better name for it, and means the key
    /// itself.
    fn find(&self, step: &str) -> Option<&'a Value> {
        if step == "null" {
            return self.object_key;
        }
        self.named.get(step.replace('\\', "").as_str()).copied()
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

#[cfg(test)]
mod tests {
    use crate::error::BodyError;
    use crate::json::{Json, VALUES_MAX, parse};

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

    #[test]
    fn a_long_text_cannot_be_multiplied_without_end() {
        for named in [r#"["TEXT"]"#, r#"{"TEXT":1}"#, r#""TEXT""#] {
            let named = named.replace("TEXT", &"x".repeat(100_000));
            let within = format!(r#"{{"a":{named},"b":[{}]}}"#, r#"{"$ref":"$.a"},"#.repeat(10));
            assert!(parse(within.as_bytes()).is_ok());
            let beyond = format!(r#"{{"a":{named},"b":[{}]}}"#, r#"{"$ref":"$.a"},"#.repeat(1000));
            assert_eq!(parse(beyond.as_bytes()), Err(BodyError::TooLarge { max: VALUES_MAX }));
        }
    }

    #[test]
    fn following_paths_cannot_go_on_without_end() {
        // Each path leads through thirty arrays.
        let deep = format!("{}1{}", "[".repeat(30), "]".repeat(30));
        let reference = format!(r#"{{"$ref":"$.d{}"}},"#, "[0]".repeat(30));
        let within = format!(r#"{{"d":{deep},"r":[{}]}}"#, reference.repeat(10_000));
        assert!(parse(within.as_bytes()).is_ok());
        let beyond = format!(r#"{{"d":{deep},"r":[{}]}}"#, reference.repeat(110_000));
        assert_eq!(parse(beyond.as_bytes()), Err(BodyError::TooLarge { max: VALUES_MAX }));
    }

    #[test]
    fn ten_thousand_topics_may_share_the_map_of_the_first() {
        let topics = (1..10_000).map(|topic| format!(r#","{topic}":{{"map":{{"$ref":"$.t.0.map"}}}}"#));
        let body = format!(r#"{{"t":{{"0":{{"map":{{"k":"v"}}}}{}}}}}"#, topics.collect::<String>());
        assert_eq!(read(&body).matches(r#"{"k":"v"}"#).count(), 10_000);
    }

    #[test]
    fn of_members_with_one_name_the_last_is_meant() {
        assert_eq!(
            read(r#"{"a":1,"b":{"x":2},"b":{"x":3},"c":{"$ref":"$.b.x"}}"#),
            r#"{"a":1,"b":{"x":2},"b":{"x":3},"c":3}"#
        );
    }
}
