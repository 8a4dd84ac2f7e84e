//! The queue and the batches.

use super::*;
use std::sync::Mutex;
use std::time::Duration;

fn tracer(max_queue: usize) -> Tracer {
    Tracer::new(Settings {
        sampler: Sampler::default(),
        resource: vec![("service.name".into(), Value::Text("x".to_owned()))],
        max_queue,
        max_batch: 4,
        delay: Duration::from_secs(5),
    })
}

fn request(tracer: &Tracer) {
    let (_, trace) = tracer.begin(None);
    let trace = trace.unwrap();
    trace.leave(&trace.enter("auth", false));
    trace.end("GET rest".to_owned(), Vec::new(), false);
}

#[tokio::test(start_paused = true)]
async fn a_dead_collector_costs_spans_and_no_memory() {
    let tracer = tracer(10);
    for _ in 0..100 {
        request(&tracer);
    }
    assert_eq!(tracer.dropped(), 190);
    tracer.end();
    let tries = Mutex::new(0);
    let send = |_| {
        *tries.lock().unwrap() += 1;
        std::future::ready(Err(ExportError::Temporary("dead".to_owned())))
    };
    tracer.clone().run(send).await;
    assert_eq!(tracer.dropped(), 200);
    // three batches
    assert_eq!(*tries.lock().unwrap(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_sent_when_it_is_full_and_after_a_delay() {
    let tracer = tracer(100);
    let (sender, mut sent) = tokio::sync::mpsc::unbounded_channel();
    let send = move |message: Vec<u8>| {
        sender.send(message.len()).unwrap();
        std::future::ready(Ok(Vec::new()))
    };
    let running = tracer.clone().run(send);
    let watch = async {
        request(&tracer);
        request(&tracer);
        let full = sent.recv().await.unwrap();
        request(&tracer);
        let late = sent.recv().await.unwrap();
        assert!(late < full);
        request(&tracer);
        tracer.end();
    };
    tokio::join!(running, watch);
    assert!(sent.try_recv().is_ok());
    assert_eq!(tracer.dropped(), 0);
}
