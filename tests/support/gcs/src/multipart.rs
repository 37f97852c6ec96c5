//! The bodies of `uploadType=multipart`: parts between boundary lines, each with headers and an empty line before its
//! content.

use bytes::Bytes;

/// The contents of the parts, in their order; `None` where the body is no such thing.
pub(crate) fn parts(content_type: &str, body: &Bytes) -> Option<Vec<Bytes>> {
    let boundary = content_type.split(';').find_map(|field| field.trim().strip_prefix("boundary="))?;
    let line = format!("--{}", boundary.trim_matches('"'));
    let separator = format!("\r\n{line}");
    let mut parts = vec![];
    let mut at = find(body, line.as_bytes(), 0)? + line.len();
    while !body[at..].starts_with(b"--") {
        let begin = find(body, b"\r\n\r\n", at)? + 4;
        let end = find(body, separator.as_bytes(), begin)?;
        parts.push(body.slice(begin..end));
        at = end + separator.len();
    }
    Some(parts)
}

fn find(body: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    body.get(from..)?.windows(wanted.len()).position(|window| window == wanted).map(|place| place + from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_cut_at_their_boundaries_byte_for_byte() {
        let body = Bytes::from("--x\r\nA: b\r\n\r\n{}\r\n--x\r\nC: d\r\n\r\n\r\n--almost\r\n\r\n--x--\r\n");
        let found = parts("multipart/related; boundary=\"x\"", &body).unwrap();
        assert_eq!(found, ["{}", "\r\n--almost\r\n"]);
        assert!(parts("multipart/related; boundary=y", &body).is_none());
        assert!(parts("multipart/related; boundary=x", &body.slice(..20)).is_none(), "it breaks off");
    }
}
