use crate::memory::MemorySource;
use crate::source::{SelectRequest, SeriesSet, SeriesSource, SourceError};
use crate::{Budget, Engine, EngineSettings, QueryRequest, Value};
use async_trait::async_trait;
use futures::executor::block_on;
use longhaul_model::{Labels, Sample};
use parking_lot::Mutex;
use std::sync::Arc;

/// A source that remembers what it was asked.
struct Asked {
    source: MemorySource,
    questions: Mutex<Vec<String>>,
}

#[async_trait]
impl SeriesSource for Asked {
    async fn select(&self, request: &SelectRequest) -> Result<Box<dyn SeriesSet>, SourceError> {
        let matchers: Vec<String> = request.matchers.iter().map(ToString::to_string).collect();
        let range = request.range;
        self.questions.lock().push(format!("{} [{}, {})", matchers.join(","), range.start_ms, range.end_ms));
        self.source.select(request).await
    }
}

fn asked() -> Arc<Asked> {
    let samples = [Sample::new(0, 1.0), Sample::new(60_000, 1.0)];
    let series = |name: &str, extra: (&str, &str)| {
        let labels = [("__name__", name), ("job", "j"), ("instance", "i"), extra];
        (Labels::from_pairs(labels), samples.as_slice())
    };
    let all = [series("a", ("x", "1")), series("b", ("x", "1")), series("target_info", ("version", "7"))];
    Arc::new(Asked { source: MemorySource::from_samples(all), questions: Mutex::default() })
}

fn questions(query: &str) -> (Value, Vec<String>) {
    let source = asked();
    let engine = Engine::new(EngineSettings::default());
    let request = QueryRequest::instant(query, 60_000);
    let result = block_on(engine.run(source.clone(), &request, &Budget::unlimited())).unwrap();
    (result.value, std::mem::take(&mut *source.questions.lock()))
}

#[test]
fn the_same_question_is_asked_once() {
    let (value, asked) = questions("info(a) + on (job) info(b)");
    let Value::Vector(vector) = value else { panic!("a vector") };
    assert_eq!(vector[0].labels.to_string(), r#"{job="j"}"#);
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert_eq!(asked.iter().filter(|question| question.contains("target_info")).count(), 1);
    let (_, asked) = questions("info(a) + on (job) info(b offset 1m)");
    assert_eq!(asked.iter().filter(|question| question.contains("target_info")).count(), 2, "another time");
}

#[test]
fn who_has_nothing_to_be_described_by_asks_nothing() {
    let (_, asked) = questions("info(vector(1))");
    assert_eq!(asked, Vec::<String>::new());
    let (_, asked) = questions("info(target_info)");
    assert_eq!(asked.len(), 1, "an info series describes itself: {asked:?}");
}

#[test]
fn extended_selectors_ask_for_what_lies_beside() {
    let range = |query: &str| {
        let asked = questions(query).1.remove(0);
        asked[asked.find('[').unwrap()..].to_owned()
    };
    assert_eq!(range("rate(a[1m])"), "[1, 60001)");
    assert_eq!(range("rate(a[1m] anchored)"), "[-299999, 60001)");
    assert_eq!(range("rate(a[1m] smoothed)"), "[-299999, 360001)");
    assert_eq!(range("a smoothed"), "[-239999, 360001)");
    assert_eq!(range("timestamp(a smoothed)"), "[-239999, 60001)");
}
