//! What a visitor asks for, and the answer as it stands on the wire: HTTP/1.1, one request a connection.

use httparse::{EMPTY_HEADER, Request, Status};

use crate::transcript::metrics::CONTENT_TYPE;

/// A request is at most so many bytes long.
pub(super) const LONGEST_REQUEST: usize = 4096;
/// More than any monitor sends.
const MOST_HEADERS: usize = 64;

/// What a visitor is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The page, or to HEAD its head alone.
    Page { head_only: bool },
    /// There is nothing else here.
    NotFound { head_only: bool },
    /// Nothing can be changed here.
    NotAllowed,
    /// That was no request.
    Bad,
}

impl Answer {
    /// What the bytes that have come so far ask for. `None`: more must come.
    pub(super) fn to(bytes: &[u8]) -> Option<Answer> {
        let mut headers = [EMPTY_HEADER; MOST_HEADERS];
        let mut request = Request::new(&mut headers);
        match request.parse(bytes) {
            Ok(Status::Complete(_)) if bytes.len() <= LONGEST_REQUEST => {}
            Ok(Status::Partial) if bytes.len() < LONGEST_REQUEST => return None,
            Ok(_) | Err(_) => return Some(Answer::Bad),
        }
        let head_only = match request.method {
            Some("GET") => false,
            Some("HEAD") => true,
            _ => return Some(Answer::NotAllowed),
        };
        let is_page = request.path.is_some_and(|target| path_of(target) == "/metrics");
        Some(if is_page { Answer::Page { head_only } } else { Answer::NotFound { head_only } })
    }

    /// The whole answer. `page` is asked for where it is the answer.
    pub(super) fn encode(self, page: impl FnOnce() -> String) -> Vec<u8> {
        const PLAIN: &str = "text/plain; charset=utf-8";
        let (status, kind, more, body, head_only) = match self {
            Answer::Page { head_only } => ("200 OK", CONTENT_TYPE, "", page(), head_only),
            Answer::NotFound { head_only } => {
                ("404 Not Found", PLAIN, "", "the figures are at /metrics\n".to_owned(), head_only)
            }
            Answer::NotAllowed => {
                let body = "only GET and HEAD are answered\n".to_owned();
                ("405 Method Not Allowed", PLAIN, "Allow: GET, HEAD\r\n", body, false)
            }
            Answer::Bad => {
                let body =
                    format!("give an HTTP/1.1 request of at most {LONGEST_REQUEST} bytes, such as GET /metrics\n");
                ("400 Bad Request", PLAIN, "", body, false)
            }
        };
        let length = body.len();
        let shown = if head_only { "" } else { &body };
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{more}");
        format!("{head}Connection: close\r\n\r\n{shown}").into_bytes()
    }
}

/// The path of a request's target, which may be a whole address.
fn path_of(target: &str) -> &str {
    let whole = target.strip_prefix("http://").and_then(|rest| rest.find('/').map(|at| &rest[at..]));
    let path = whole.unwrap_or(target);
    path.split_once('?').map_or(path, |(path, _)| path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn get_and_head_of_the_page_are_answered_and_nothing_else() {
        let page = Some(Answer::Page { head_only: false });
        let elsewhere = Some(Answer::NotFound { head_only: false });
        for (request, answer) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", page),
            ("GET /metrics HTTP/1.0\r\n\r\n", page),
            ("GET /metrics?name=up HTTP/1.1\r\n\r\n", page),
            ("GET http://127.0.0.1:9100/metrics HTTP/1.1\r\n\r\n", page),
            ("HEAD /metrics HTTP/1.1\r\n\r\n", Some(Answer::Page { head_only: true })),
            ("GET / HTTP/1.1\r\n\r\n", elsewhere),
            ("GET /metrics/ HTTP/1.1\r\n\r\n", elsewhere),
            ("GET http://127.0.0.1 HTTP/1.1\r\n\r\n", elsewhere),
            ("HEAD /health HTTP/1.1\r\n\r\n", Some(Answer::NotFound { head_only: true })),
            ("POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", Some(Answer::NotAllowed)),
            ("get /metrics HTTP/1.1\r\n\r\n", Some(Answer::NotAllowed)),
            ("GET /metrics\r\n\r\n", Some(Answer::Bad)),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Some(Answer::Bad)),
            ("hello\r\n\r\n", Some(Answer::Bad)),
            ("\u{16}\u{3}\u{1}", Some(Answer::Bad)),
            ("", None),
            ("GET /metrics HTTP/1.1\r\n", None),
        ] {
            assert_eq!(Answer::to(request.as_bytes()), answer, "{request:?}");
        }
    }

    #[test]
    fn a_request_has_4096_bytes_at_most() {
        let with = |padding: usize| format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(padding));
        let room = LONGEST_REQUEST - with(0).len();
        assert_eq!(Answer::to(with(room).as_bytes()), Some(Answer::Page { head_only: false }));
        assert_eq!(Answer::to(with(room + 1).as_bytes()), Some(Answer::Bad));
        let endless = "x".repeat(LONGEST_REQUEST);
        assert_eq!(Answer::to(&endless.as_bytes()[1..]), None);
        assert_eq!(Answer::to(endless.as_bytes()), Some(Answer::Bad));
        let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "a:b\r\n".repeat(MOST_HEADERS + 1));
        assert_eq!(Answer::to(many.as_bytes()), Some(Answer::Bad));
    }

    #[test]
    fn an_answer_says_how_long_its_body_is() {
        for answer in
            [Answer::Page { head_only: false }, Answer::NotFound { head_only: false }, Answer::NotAllowed, Answer::Bad]
        {
            let answer = String::from_utf8(answer.encode(|| "up 1\n".to_owned())).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{answer}");
            assert!(head.ends_with("\r\nConnection: close"), "{answer}");
        }
        let head = Answer::Page { head_only: true }.encode(|| "up 1\n".to_owned());
        let head = String::from_utf8(head).unwrap();
        assert!(head.contains("Content-Length: 5\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }

    proptest! {
        #[test]
        fn garbage_breaks_nothing(bytes in prop::collection::vec(any::<u8>(), 0..5000)) {
            Answer::to(&bytes);
        }
    }

    #[test]
    fn a_request_is_answered_when_it_is_whole_and_not_before() {
        let request = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9100\r\nAccept: */*\r\n\r\n";
        for end in 0..request.len() {
            assert_eq!(Answer::to(&request[..end]), None, "after {end} bytes");
        }
        assert!(Answer::to(request).is_some());
    }
}
