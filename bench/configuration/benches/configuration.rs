//! How fast configurations are read on this host, in both forms, beside `serde_json` with `oci-spec`: a typical one, and
//! one of nearly 64 KiB. Ours are checked as well, as `container_create` does it; the others only take the document apart.

use allocation_counter::AllocationInfo;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use oci_spec::runtime::Spec;
use std::{fmt::Write, hint::black_box};
use veridian_containers::config::Config;

/// The configuration of the container cycle.
const TYPICAL: &str = include_str!("../../config.json");
/// What a large one has, which leaves room for its lines: their keys are longer than the commas of an array.
const LARGE: usize = 48 << 10;

/// The typical configuration with an environment as large as may be.
fn large() -> String {
    let mut entries = String::new();
    for index in 0.. {
        let separator = if index == 0 { "" } else { ", " };
        if TYPICAL.len() + entries.len() + 80 > LARGE {
            break;
        }
        write!(entries, "{separator}\"VARIABLE_{index}={}\"", "x".repeat(48)).expect("a string takes all");
    }
    TYPICAL.replace(r#""cwd": "/","#, &format!(r#""cwd": "/", "env": [{entries}],"#))
}

/// The same as lines.
fn lines(json: &str) -> String {
    Config::parse(json.as_bytes(), &[]).expect("the configuration is read").to_string()
}

fn ours(text: &str) -> bool {
    Config::parse(black_box(text.as_bytes()), &[("CONTAINER_ID", "bench"), ("BUNDLE", "/bundle")]).is_ok()
}

fn others(text: &str) -> bool {
    serde_json::from_slice::<Spec>(black_box(text.as_bytes())).is_ok()
}

fn measure(criterion: &mut Criterion) {
    let large_json = large();
    let (typical_lines, large_lines) = (lines(TYPICAL), lines(&large_json));
    let cases: [(&str, &str, fn(&str) -> bool); 6] = [
        ("typical, lines", &typical_lines, ours),
        ("typical, config.json", TYPICAL, ours),
        ("typical, config.json by oci-spec", TYPICAL, others),
        ("large, lines", &large_lines, ours),
        ("large, config.json", &large_json, ours),
        ("large, config.json by oci-spec", &large_json, others),
    ];
    let mut group = criterion.benchmark_group("configuration");
    for (name, text, read) in cases {
        let AllocationInfo { count_total, bytes_total, bytes_max, .. } =
            allocation_counter::measure(|| assert!(read(text), "{name} is read"));
        println!(
            "{name}: {} bytes; {count_total} allocations of {bytes_total} bytes, {bytes_max} at one time",
            text.len()
        );
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| read(text)));
    }
    group.finish();
}

criterion_group!(benches, measure);
criterion_main!(benches);
