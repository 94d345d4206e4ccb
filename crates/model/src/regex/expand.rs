//! Templates of replacements as Go's `Regexp.Expand` reads them: `$1`, `${1}`, `$name`, `${name}`, `$$`.

/// Writes `template` with its references replaced by what `group` gives for the index of a group. What no group
/// answers is empty; a `$` that begins no reference is a `$`.
pub(super) fn expand<'t>(
    template: &str,
    group_names: &[Option<Box<str>>],
    group: impl Fn(usize) -> Option<&'t str>,
) -> String {
    let mut expanded = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some((name, after)) = reference(rest) {
            rest = after;
            let text = match index(name) {
                Some(index) => group(index),
                // Of several groups of a name the first that took part.
                None => {
                    (0..group_names.len()).filter(|&index| group_names[index].as_deref() == Some(name)).find_map(&group)
                }
            };
            expanded.push_str(text.unwrap_or_default());
        } else {
            expanded.push('$');
        }
    }
    expanded.push_str(rest);
    expanded
}

/// Splits a name, possibly in braces, from what follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('{');
    let name_on = inside.unwrap_or(text);
    let size_bytes = name_on.find(|c: char| !(c == '_' || c.is_alphanumeric())).unwrap_or(name_on.len());
    let (name, after) = name_on.split_at(size_bytes);
    let after = if inside.is_some() { after.strip_prefix('}')? } else { after };
    (!name.is_empty()).then_some((name, after))
}

/// The number that `name` is, if it is one without leading zeros.
fn index(name: &str) -> Option<usize> {
    let number = name.bytes().all(|byte| byte.is_ascii_digit()) && (name.len() == 1 || !name.starts_with('0'));
    if number { Some(name.parse().unwrap_or(usize::MAX)) } else { None }
}
