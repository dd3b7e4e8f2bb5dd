//! Figures by what was done, how it was measured and who did it; the file that keeps them.

use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fmt, fs, io, path::Path};

/// How a figure was taken, and so its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// The guest's instructions, with one CPU.
    Instructions,
    /// Nanoseconds of the guest's clock on this host, emulated, with so many CPUs.
    Wall(u32),
    /// The same, with one CPU that is the host's own (KVM).
    Virtualized,
    /// Bytes of memory.
    Bytes,
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Measure::Instructions => f.write_str("instructions"),
            Measure::Wall(cpus) => write!(f, "ns, {cpus} CPU"),
            Measure::Virtualized => f.write_str("ns, KVM"),
            Measure::Bytes => f.write_str("bytes"),
        }
    }
}

/// What depends on the host, and on how busy it is.
pub const WALL: [Measure; 4] = [Measure::Wall(1), Measure::Wall(2), Measure::Wall(4), Measure::Virtualized];

/// Who did the work. The first is this kernel; the others are all Linux: itself, one built small (with a container made
/// by hand on it), a container made by hand on the first, and by two runtimes.
pub const PEERS: [&str; 6] = ["veridian", "linux", "small", "floor", "crun", "runc"];

/// More than so many percent worse than recorded is a failure.
const TOLERANCE: f64 = 2.0;

/// The figures of a piece of work: by how they were taken and by the place in [`PEERS`].
pub type Row = BTreeMap<Measure, [Option<f64>; PEERS.len()]>;

/// All that was measured on an architecture.
#[derive(Default)]
pub struct Results {
    /// Package and version of the Linux.
    pub linux: String,
    /// By the name of the work, in the order in which it was done.
    rows: Vec<(String, Row)>,
}

impl Results {
    /// Keeps a figure.
    pub fn put(&mut self, work: &str, measure: Measure, peer: &str, value: f64) {
        let Some(place) = PEERS.iter().position(|name| *name == peer) else { return };
        let at = self.rows.iter().position(|(name, _)| name == work).unwrap_or_else(|| {
            self.rows.push((work.to_owned(), Row::new()));
            self.rows.len() - 1
        });
        self.rows[at].1.entry(measure).or_default()[place] = Some(value);
    }

    /// The work and its figures.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &Row)> {
        self.rows.iter().map(|(name, row)| (name.as_str(), row))
    }

    /// A figure.
    pub fn figure(&self, work: &str, measure: Measure, peer: usize) -> Option<f64> {
        self.rows().find(|(name, _)| *name == work)?.1.get(&measure)?[peer]
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut rows = Vec::new();
        for (work, row) in &self.rows {
            for (measure, figures) in row {
                let by = PEERS.iter().zip(figures);
                let by: Map<_, _> =
                    by.filter_map(|(peer, value)| Some(((*peer).to_owned(), json!((*value)?)))).collect();
                rows.push(json!({ "work": work, "unit": measure.to_string(), "by": by }));
            }
        }
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let text =
            serde_json::to_string_pretty(&json!({ "linux": self.linux, "rows": rows })).map_err(io::Error::other)?;
        fs::write(path, text + "\n")
    }

    /// Reads the file.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}; `make bench` makes it", path.display()))
        })?;
        let file: Value = serde_json::from_str(&text).map_err(io::Error::other)?;
        let mut results = Self { linux: file["linux"].as_str().unwrap_or_default().to_owned(), ..Self::default() };
        for row in file["rows"].as_array().into_iter().flatten() {
            let (Some(work), Some(unit), Some(by)) =
                (row["work"].as_str(), row["unit"].as_str(), row["by"].as_object())
            else {
                return Err(io::Error::other(format!("{}: not a row: {row}", path.display())));
            };
            let measure = measure(unit).ok_or_else(|| io::Error::other(format!("not a unit: {unit}")))?;
            for (peer, figure) in by {
                results.put(work, measure, peer, figure.as_f64().unwrap_or_default());
            }
        }
        Ok(results)
    }

    /// Says how each figure of record differs from the one recorded. Whether none is missing, and none worse than the
    /// tolerance allows.
    pub fn no_worse_than(&self, recorded: &Self) -> bool {
        let mut good = true;
        for (work, row) in recorded.rows() {
            let Some(was) = row.get(&Measure::Instructions).and_then(|figures| figures[0]) else { continue };
            let Some(is) = self.figure(work, Measure::Instructions, 0) else {
                println!("MISSING {work}");
                good = false;
                continue;
            };
            let more = (is / was - 1.0) * 100.0;
            let worse = more > TOLERANCE;
            good &= !worse;
            println!(
                "{} {work}: {is:.1} instructions, recorded {was:.1} ({more:+.2} %)",
                if worse { "WORSE  " } else { "ok     " }
            );
        }
        good
    }
}

fn measure(unit: &str) -> Option<Measure> {
    match unit {
        "instructions" => Some(Measure::Instructions),
        "bytes" => Some(Measure::Bytes),
        "ns, KVM" => Some(Measure::Virtualized),
        _ => unit.strip_prefix("ns, ")?.strip_suffix(" CPU")?.parse().ok().map(Measure::Wall),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(figure: f64) -> Results {
        let mut results = Results::default();
        results.put("boot", Measure::Instructions, "veridian", figure);
        results
    }

    #[test]
    fn what_is_written_is_read_back() {
        let path = std::env::temp_dir().join(format!("veridian-results-{}.json", std::process::id()));
        let mut results = one(12.5);
        results.linux = "linux 6".to_owned();
        results.put("null-call", Measure::Wall(4), "linux", 7.0);
        results.put("memory", Measure::Bytes, "floor", 4096.0);
        results.write(&path).unwrap();
        let read = Results::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(read.linux, results.linux);
        assert_eq!(read.rows, results.rows);
    }

    #[test]
    fn two_percent_more_is_tolerated_and_no_more() {
        assert!(one(101.9).no_worse_than(&one(100.0)));
        assert!(!one(102.1).no_worse_than(&one(100.0)));
        assert!(one(50.0).no_worse_than(&one(100.0)));
        assert!(!Results::default().no_worse_than(&one(100.0)));
    }
}
