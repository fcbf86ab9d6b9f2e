//! What a case is: what the origin answers, what is asked, what must come. It cites the section that it holds to.

use std::fmt;

/// One case. Its requests go to a path of its own, one after the other.
#[derive(Debug, Clone)]
pub struct Case {
    /// The standard and its section.
    pub section: &'static str,
    /// What must hold.
    pub what: &'static str,
    /// Which site of the policy.
    pub site: &'static str,
    /// What the origin answers at a path behind the case's own, one answer after the other.
    pub answers: Vec<(&'static str, Vec<Answer>)>,
    /// What is asked.
    pub steps: Vec<Step>,
}

/// What an origin answers. Its body, unless told otherwise, is `answer N`: its number at its path, from 1.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its fields as they are written, with places to be filled in.
    pub fields: Vec<(String, String)>,
    /// Another body.
    pub body: Option<String>,
    /// What comes before it.
    pub interim: Vec<(u16, &'static str)>,
    /// How it ends.
    pub end: End,
    /// Whether it has a `Date` that says now.
    pub dated: bool,
}

/// How an origin's answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As it was announced.
    Whole,
    /// The connection is closed before the body is.
    Short,
    /// The connection is closed instead of an answer.
    Nothing,
}

/// One request and what must come.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its method.
    pub method: &'static str,
    /// Behind the case's path: `/other`, `?query`.
    pub at: &'static str,
    /// Its fields.
    pub fields: Vec<(String, String)>,
    /// What must come.
    pub expected: Expected,
}

/// What must come; what is none may be anything.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// The status.
    pub status: Option<u16>,
    /// The number of the origin's answer whose body it is.
    pub answer: Option<usize>,
    /// Another body.
    pub body: Option<&'static str>,
    /// How many requests reach the origin for it.
    pub asks: Option<usize>,
    /// Whether `Cache-Status` says `hit`.
    pub hit: Option<bool>,
    /// What `Cache-Status` says, part by part.
    pub tells: Vec<&'static str>,
    /// What it does not say.
    pub tells_not: Vec<&'static str>,
    /// Fields of the answer: a value, or `*` for any.
    pub has: Vec<(String, String)>,
    /// Fields that it does not have.
    pub lacks: Vec<&'static str>,
    /// Fields of the last request at the origin.
    pub origin_saw: Vec<(String, String)>,
    /// Fields that it did not have.
    pub origin_saw_no: Vec<&'static str>,
    /// The method of the last request at the origin.
    pub origin_method: Option<&'static str>,
    /// The statuses of what came before the answer.
    pub interim: Option<Vec<u16>>,
    /// It is asked again until it comes.
    pub eventually: bool,
    /// Before the next step, so many requests in all have reached the origin.
    pub until_asked: Option<usize>,
    /// The answer breaks off.
    pub breaks_off: bool,
}

/// A case that holds to a section.
pub fn case(section: &'static str, what: &'static str) -> Case {
    Case {
        section,
        what,
        site: "plain",
        answers: Vec::new(),
        steps: Vec::new(),
    }
}

/// An answer 200 with fields in lines: `cache-control: max-age=60 | etag: "a"`.
pub fn answer(fields: &str) -> Answer {
    Answer {
        status: 200,
        fields: parse(fields),
        body: None,
        interim: Vec::new(),
        end: End::Whole,
        dated: true,
    }
}

/// An answer of that status.
pub fn status(status: u16, fields: &str) -> Answer {
    Answer {
        status,
        ..answer(fields)
    }
}

impl Answer {
    /// With that body.
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// After an interim answer.
    pub fn after(mut self, status: u16, fields: &'static str) -> Self {
        self.interim.push((status, fields));
        self
    }

    /// Without `Date`.
    pub fn dateless(mut self) -> Self {
        self.dated = false;
        self
    }

    /// Ending so.
    pub fn ending(mut self, end: End) -> Self {
        self.end = end;
        self
    }
}

impl Case {
    /// At another site of the policy.
    pub fn site(mut self, site: &'static str) -> Self {
        self.site = site;
        self
    }

    /// What the origin answers, one after the other.
    pub fn answers(self, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.answers_at("", answers)
    }

    /// What it answers at another path.
    pub fn answers_at(
        mut self,
        at: &'static str,
        answers: impl IntoIterator<Item = Answer>,
    ) -> Self {
        self.answers.push((at, answers.into_iter().collect()));
        self
    }

    /// What the origin answers after that.
    pub fn and_then(mut self, answers: impl IntoIterator<Item = Answer>) -> Self {
        let last = self.answers.last_mut().expect("answers before others");
        last.1.extend(answers);
        self
    }

    /// Asks by GET, with these fields.
    pub fn get(self, fields: &str) -> Self {
        self.ask("GET", "", fields)
    }

    /// Asks by GET at another path.
    pub fn get_at(self, at: &'static str) -> Self {
        self.ask("GET", at, "")
    }

    /// Asks by HEAD.
    pub fn head(self, fields: &str) -> Self {
        self.ask("HEAD", "", fields)
    }

    /// Asks.
    pub fn ask(mut self, method: &'static str, at: &'static str, fields: &str) -> Self {
        self.steps.push(Step {
            method,
            at,
            fields: parse(fields),
            expected: Expected::default(),
        });
        self
    }

    fn expect(mut self, tell: impl FnOnce(&mut Expected)) -> Self {
        let step = self.steps.last_mut().expect("a request before what comes");
        tell(&mut step.expected);
        self
    }

    /// The origin is asked, and its answer of that number comes.
    pub fn fetched(self, number: usize) -> Self {
        self.expect(|expected| {
            expected.answer = Some(number);
            expected.asks = Some(1);
            expected.hit = Some(false);
        })
    }

    /// The stored answer of that number comes, and the origin is not asked.
    pub fn hit(self, number: usize) -> Self {
        self.expect(|expected| {
            expected.answer = Some(number);
            expected.asks = Some(0);
            expected.hit = Some(true);
        })
    }

    /// The origin is asked, and the stored answer of that number comes after all.
    pub fn validated(self, number: usize) -> Self {
        self.expect(|expected| {
            expected.answer = Some(number);
            expected.asks = Some(1);
        })
    }

    /// The stored answer of that number comes though it is stale; whether the origin is asked meanwhile is left open.
    pub fn stale(self, number: usize) -> Self {
        self.expect(|expected| {
            expected.answer = Some(number);
            expected.hit = Some(true);
        })
    }

    /// The edge answers without the origin.
    pub fn alone(self, status: u16) -> Self {
        self.expect(|expected| expected.asks = Some(0))
            .status(status)
    }

    /// With that status.
    pub fn status(self, status: u16) -> Self {
        self.expect(|expected| expected.status = Some(status))
    }

    /// So many requests reach the origin for it.
    pub fn asks(self, asks: usize) -> Self {
        self.expect(|expected| expected.asks = Some(asks))
    }

    /// With that body.
    pub fn body(self, body: &'static str) -> Self {
        self.expect(|expected| expected.body = Some(body))
    }

    /// With these fields.
    pub fn has(self, fields: &str) -> Self {
        self.expect(|expected| expected.has.extend(parse(fields)))
    }

    /// Without that field.
    pub fn lacks(self, name: &'static str) -> Self {
        self.expect(|expected| expected.lacks.push(name))
    }

    /// `Cache-Status` says that.
    pub fn tells(self, part: &'static str) -> Self {
        self.expect(|expected| expected.tells.push(part))
    }

    /// `Cache-Status` does not say that.
    pub fn tells_no(self, part: &'static str) -> Self {
        self.expect(|expected| expected.tells_not.push(part))
    }

    /// The origin saw these fields.
    pub fn origin_saw(self, fields: &str) -> Self {
        self.expect(|expected| expected.origin_saw.extend(parse(fields)))
    }

    /// The origin did not see that field.
    pub fn origin_saw_no(self, name: &'static str) -> Self {
        self.expect(|expected| expected.origin_saw_no.push(name))
    }

    /// The origin saw that method.
    pub fn origin_saw_method(self, method: &'static str) -> Self {
        self.expect(|expected| expected.origin_method = Some(method))
    }

    /// These interim answers come first.
    pub fn after(self, statuses: &[u16]) -> Self {
        self.expect(|expected| expected.interim = Some(statuses.to_vec()))
    }

    /// It is asked again until that comes.
    pub fn eventually(self) -> Self {
        self.expect(|expected| {
            expected.eventually = true;
            expected.asks = None;
        })
    }

    /// Before the next request, the origin has been asked so often in all.
    pub fn until_asked(self, requests: usize) -> Self {
        self.expect(|expected| expected.until_asked = Some(requests))
    }

    /// The answer breaks off.
    pub fn breaks_off(self) -> Self {
        self.expect(|expected| expected.breaks_off = true)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.section, self.what)
    }
}

/// Fields in one line.
fn parse(fields: &str) -> Vec<(String, String)> {
    let lines = fields.split(" | ").filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (name, value) = line.split_once(':').expect("a name before a colon");
            (name.trim().to_owned(), value.trim().to_owned())
        })
        .collect()
}
