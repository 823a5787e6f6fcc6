//! From the bytes of a connection to requests and their answers.

use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::{Record, Sent};

impl Record {
    /// When the byte at `offset` arrived.
    fn arrival(&self, offset: usize) -> Option<Instant> {
        let behind = self.reads.partition_point(|(start, _)| *start <= offset);
        self.reads.get(behind.checked_sub(1)?).map(|(_, at)| *at)
    }
}

/// Adds the uploads and deletions of one connection to `all`, each with its answer.
pub(super) fn connection(sent: &Record, answered: &Record, all: &mut Vec<Sent>) -> Result<()> {
    let requests = requests(sent)?;
    let methods: Vec<&str> = requests.iter().map(|request| request.method.as_str()).collect();
    let answers = answers(answered, &methods)?;
    let mut answers = answers.into_iter();
    let with_answer = requests.into_iter().map(|request| match answers.next() {
        Some((status, said)) => Sent { status: Some(status), said, ..request },
        None => request,
    });
    all.extend(with_answer.filter(|request| request.method != "GET" && request.method != "HEAD"));
    Ok(())
}

fn requests(record: &Record) -> Result<Vec<Sent>> {
    let mut all = Vec::new();
    let mut bytes = &record.bytes[..];
    while let Some(began) = record.arrival(record.bytes.len() - bytes.len()).filter(|_| !bytes.is_empty()) {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(length) = request.parse(bytes).context("captured request")? else {
            return Ok(all);
        };
        let header = |name: &str| {
            let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            found.map(|header| String::from_utf8_lossy(header.value).into_owned())
        };
        let (chunked, content_type) = (header("transfer-encoding").is_some(), header("content-type"));
        let content_length: usize = header("content-length").map_or(Ok(0), |text| text.parse())?;
        let (method, target) =
            (request.method.unwrap_or_default().to_owned(), request.path.unwrap_or_default().to_owned());
        bytes = &bytes[length..];
        let (body, rest, complete) = if chunked { dechunk(bytes)? } else { sized(bytes, content_length) };
        bytes = rest;
        all.push(Sent {
            method,
            target,
            content_type,
            body,
            complete,
            began,
            status: None,
            said: String::new(),
        });
    }
    Ok(all)
}

/// Status and body of the final answers, in order. What is cut off in its head is no answer.
fn answers(record: &Record, methods: &[&str]) -> Result<Vec<(u16, String)>> {
    let mut all = Vec::new();
    let mut bytes = &record.bytes[..];
    while all.len() < methods.len() {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = response.parse(bytes).context("captured answer")? else {
            break;
        };
        let status = response.code.unwrap_or_default();
        let header = |name: &str| {
            let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            found.map(|header| String::from_utf8_lossy(header.value).into_owned())
        };
        let (chunked, content_length) = (header("transfer-encoding").is_some(), header("content-length"));
        bytes = &bytes[length..];
        if (100..200).contains(&status) {
            continue;
        }
        let has_body = methods[all.len()] != "HEAD" && status != 204 && status != 304;
        let (body, rest) = match content_length {
            _ if !has_body => (Vec::new(), bytes),
            _ if chunked => {
                let (body, rest, _) = dechunk(bytes)?;
                (body, rest)
            }
            Some(text) => {
                let (body, rest, _) = sized(bytes, text.parse()?);
                (body, rest)
            }
            None => (bytes.to_vec(), &[][..]), // up to the end of the connection
        };
        all.push((status, String::from_utf8_lossy(&body).trim().to_owned()));
        bytes = rest;
    }
    Ok(all)
}

fn sized(bytes: &[u8], length: usize) -> (Vec<u8>, &[u8], bool) {
    let count = length.min(bytes.len());
    (bytes[..count].to_vec(), &bytes[count..], count == length)
}

fn dechunk(mut bytes: &[u8]) -> Result<(Vec<u8>, &[u8], bool)> {
    let mut body = Vec::new();
    loop {
        let size = httparse::parse_chunk_size(bytes).map_err(|_| anyhow::anyhow!("captured chunk size"))?;
        let httparse::Status::Complete((line, length)) = size else { return Ok((body, &[], false)) };
        let length = usize::try_from(length)?;
        let Some(rest) = bytes.get(line..) else { bail!("captured chunk") };
        if rest.len() < length + 2 {
            body.extend_from_slice(&rest[..length.min(rest.len())]);
            return Ok((body, &[], false));
        }
        body.extend_from_slice(&rest[..length]);
        bytes = &rest[length + 2..];
        if length == 0 {
            return Ok((body, bytes, true));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> Record {
        Record { bytes: text.as_bytes().to_vec(), reads: vec![(0, Instant::now())] }
    }

    /// Answers belong to requests in order, whatever bodies and interim answers are between them.
    #[test]
    fn every_upload_has_its_answer_or_none() {
        let sent = record(
            "PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc\
             GET /b HTTP/1.1\r\n\r\nHEAD /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\n\r\n\
             PUT /d HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n0\r\n\r\n\
             DELETE /e HTTP/1.1\r\n\r\nPUT /f HTTP/1.1\r\nContent-Length: 9\r\n\r\ncut",
        );
        let answered = record(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n\
             HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody\
             HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\
             HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\n\r\n\
             HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nfullHTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 20",
        );
        let mut all = Vec::new();
        connection(&sent, &answered, &mut all).unwrap();
        let seen: Vec<_> =
            all.iter().map(|sent| (sent.target.as_str(), sent.complete, sent.status)).collect();
        let expected =
            [("/a", true, Some(201)), ("/d", true, Some(503)), ("/e", true, Some(204)), ("/f", false, None)];
        assert_eq!(seen, expected);
        let acknowledged: Vec<_> = all.iter().filter(|sent| sent.is_acknowledged()).collect();
        assert_eq!(acknowledged.len(), 2);
        assert_eq!(all.iter().map(|sent| sent.said.as_str()).collect::<String>(), "full");
    }
}
