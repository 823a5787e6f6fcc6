//! Text → steps. A line that is not understood is an error that names it: a script that tests nothing must not pass.

use anyhow::{Context, Result, bail, ensure};

/// A parsed script.
#[derive(Debug, Default)]
pub struct Script {
    /// Protocol rows that it proves.
    pub proves: Vec<String>,
    /// The spec of the origin, as YAML; empty for the defaults.
    pub spec: String,
    /// Files of the publishers' Secret.
    pub secret: Vec<(String, String)>,
    /// What happens, each with its line number.
    pub steps: Vec<(usize, Step)>,
}

/// One thing that happens.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// A request head, and the body where it has a length.
    Request {
        /// Connection.
        on: String,
        /// Method.
        method: String,
        /// Request target.
        target: String,
        /// Headers in order.
        headers: Vec<(String, String)>,
        /// Body to send with a `Content-Length`.
        body: Option<Vec<u8>>,
    },
    /// Bytes as they are.
    Raw(String, Vec<u8>),
    /// A piece of a body.
    Send(String, Vec<u8>),
    /// The last chunk.
    SendEnd(String),
    /// The connection is cut off.
    Cut(String),
    /// The sending side ends.
    HalfClose(String),
    /// The head of an answer, and the whole body unless it is read in pieces.
    Expect(Expect),
    /// The next bytes of a body.
    ExpectBytes(String, Vec<u8>),
    /// The body ends as its framing says.
    ExpectEnd(String),
    /// The connection ends before the body does.
    ExpectCut(String),
    /// The connection ends without another byte.
    ExpectClosed(String),
    /// Time passes.
    Clock(u64),
    /// The origin stops at once and another one starts on the same disk and bucket; connections are closed.
    Restart,
    /// Waits until a field of `/-/status` has a value.
    Wait(String, String),
}

/// What an answer must look like.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expect {
    /// Connection.
    pub on: String,
    /// Status code, `*` for any digit.
    pub status: String,
    /// Header patterns; `None` for a header that must be absent.
    pub headers: Vec<(String, Option<String>)>,
    /// The whole body.
    pub body: Option<Vec<u8>>,
    /// A pattern for the whole body.
    pub body_like: Option<String>,
    /// The body is left to the following steps.
    pub pieces: bool,
}

impl Script {
    /// Parses a script.
    pub fn parse(text: &str) -> Result<Self> {
        let mut script = Self::default();
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line)).peekable();
        while let Some((number, line)) = lines.next() {
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            if line.trim() == "config" {
                for (_, line) in lines.by_ref().take_while(|(_, line)| line.trim() != "end") {
                    script.spec.push_str(line);
                    script.spec.push('\n');
                }
                continue;
            }
            if let Some(name) = line.trim().strip_prefix("secret ").filter(|name| !name.contains(' ')) {
                let lines = lines.by_ref().take_while(|(_, line)| line.trim() != "end");
                let text: Vec<&str> = lines.map(|(_, line)| line).collect();
                script.secret.push((name.to_owned(), text.join("\n")));
                continue;
            }
            let mut detail = Vec::new();
            while let Some((_, line)) =
                lines.next_if(|(_, line)| line.starts_with(' ') && !line.trim().is_empty())
            {
                detail.push(line.trim());
            }
            script
                .line(number, line.trim_end(), &detail)
                .with_context(|| format!("line {number}: {line}"))?;
        }
        ensure!(!script.steps.is_empty(), "the script does nothing");
        Ok(script)
    }

    fn line(&mut self, number: usize, line: &str, detail: &[&str]) -> Result<()> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        let step = match word {
            "proves" => {
                self.proves.extend(rest.split_whitespace().map(str::to_owned));
                return Ok(());
            }
            "secret" => {
                let (name, value) = rest.split_once(' ').context("name and value")?;
                self.secret.push((name.to_owned(), value.to_owned()));
                return Ok(());
            }
            "restart" => Step::Restart,
            "clock" => Step::Clock(rest.strip_prefix('+').context("+seconds")?.parse()?),
            "wait" => {
                let (field, value) = rest.split_once(' ').context("field and value")?;
                Step::Wait(field.to_owned(), value.to_owned())
            }
            "raw" => {
                let (on, bytes) = rest.split_once(' ').context("connection and bytes")?;
                Step::Raw(on.to_owned(), unescape(bytes)?)
            }
            _ => on_connection(word, rest, detail)?,
        };
        ensure!(
            detail.is_empty() || matches!(step, Step::Request { .. } | Step::Expect(_)),
            "indented lines without a head"
        );
        self.steps.push((number, step));
        Ok(())
    }
}

fn on_connection(word: &str, rest: &str, detail: &[&str]) -> Result<Step> {
    if let Some(on) = word.strip_suffix(':') {
        return request(on, rest, detail);
    }
    if let Some(on) = word.strip_suffix('>') {
        let on = on.to_owned();
        return Ok(match rest {
            "end" => Step::SendEnd(on),
            "cut" => Step::Cut(on),
            "half-close" => Step::HalfClose(on),
            bytes => Step::Send(on, content(bytes)?),
        });
    }
    let Some(on) = word.strip_suffix('<') else { bail!("unknown command \"{word}\"") };
    let on = on.to_owned();
    Ok(match rest {
        "end" => Step::ExpectEnd(on),
        "cut" => Step::ExpectCut(on),
        "closed" => Step::ExpectClosed(on),
        _ => match rest.strip_prefix("+ ") {
            Some(bytes) => Step::ExpectBytes(on, content(bytes)?),
            None => expect(on, rest, detail)?,
        },
    })
}

fn request(on: &str, rest: &str, detail: &[&str]) -> Result<Step> {
    let mut words = rest.split_whitespace();
    let method = words.next().context("method")?.to_owned();
    let target = words.next().context("target")?.to_owned();
    let (mut headers, mut body) = (Vec::new(), None);
    match words.next() {
        Some("chunked") => headers.push(("Transfer-Encoding".to_owned(), "chunked".to_owned())),
        None => {}
        Some(word) => bail!("\"{word}\" after the target: only `chunked` is possible"),
    }
    for line in detail {
        match line.strip_prefix("| ") {
            Some(text) => body.get_or_insert_with(Vec::new).extend(content(text)?),
            None if *line == "|" => body = Some(Vec::new()),
            None => {
                let (name, value) = line.split_once(':').with_context(|| format!("header \"{line}\""))?;
                headers.push((name.to_owned(), value.trim().to_owned()));
            }
        }
    }
    Ok(Step::Request { on: on.to_owned(), method, target, headers, body })
}

fn expect(on: String, rest: &str, detail: &[&str]) -> Result<Step> {
    let (status, pieces) = match rest.strip_suffix("...") {
        Some(status) => (status.trim(), true),
        None => (rest, false),
    };
    ensure!(
        status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit() || byte == b'*'),
        "status \"{status}\""
    );
    let mut expect = Expect { on, status: status.to_owned(), pieces, ..Expect::default() };
    for line in detail {
        if let Some(text) = line.strip_prefix("| ") {
            expect.body.get_or_insert_with(Vec::new).extend(content(text)?);
        } else if let Some(pattern) = line.strip_prefix("~ ") {
            expect.body_like = Some(pattern.to_owned());
        } else if *line == "|" {
            expect.body = Some(Vec::new());
        } else if let Some(name) = line.strip_prefix('!') {
            expect.headers.push((name.to_owned(), None));
        } else {
            let (name, value) = line.split_once(':').with_context(|| format!("header \"{line}\""))?;
            expect.headers.push((name.to_owned(), Some(value.trim().to_owned())));
        }
    }
    ensure!(!(expect.pieces && expect.body.is_some()), "a body read in pieces has no `|` lines");
    Ok(Step::Expect(expect))
}

/// `*9000` is 9000 times `x`, everything else itself.
fn content(text: &str) -> Result<Vec<u8>> {
    match text.strip_prefix('*') {
        Some(count) => Ok(vec![b'x'; count.parse().context("*count")?]),
        None => Ok(text.as_bytes().to_vec()),
    }
}

fn unescape(text: &str) -> Result<Vec<u8>> {
    let inner =
        text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).context("bytes in double quotes")?;
    let mut bytes = Vec::new();
    let mut rest = inner.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next().context("escape")? {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'x' => {
                let digits = [rest.next().context("\\xNN")?, rest.next().context("\\xNN")?];
                u8::from_str_radix(std::str::from_utf8(&digits)?, 16)?
            }
            other => other,
        });
    }
    Ok(bytes)
}
