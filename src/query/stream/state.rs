//! What is saved of a stream, so that it can be resumed.

use serde::{Deserialize, Serialize};

use super::options::StreamOptions;
use super::reader::Reader;
use crate::sample::DRAWS;
use crate::{Error, Result};

/// How far a stream has come: a few numbers, to be saved with the weights of the model.
///
/// It is the same for all ranks that have taken as many patches, and for any number of workers. A
/// stream with another number of ranks, workers or open subjects can go on from it; the ranks
/// together then take what was left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamState {
    /// The seed of the stream.
    pub seed: u64,
    /// The epoch it was in.
    pub epoch: u64,
    /// Positions of that epoch that all ranks together have done with.
    pub consumed: u64,
    /// What else the patches follow from.
    pub configuration: Configuration,
}

/// Digests of what the patches of a stream follow from. Of voxels, only those that are sampled by
/// are among it: whether another image was replaced in between is not noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Of the subjects' names, in their order.
    subjects: String,
    /// Of the images, their views, and which one is sampled.
    images: String,
    /// Of the sampler, as its `Debug` shows it.
    sampler: String,
    /// Of the number of patches of each subject, and the window.
    order: String,
    /// Of the volumes that are sampled, and of how a draw is made. States of streams whose draws
    /// followed from chunks have none.
    #[serde(default)]
    draws: String,
}

/// Of the way from a seed to an order. Another way has another number.
const ORDER: u64 = 1;

impl Configuration {
    pub(super) fn new(reader: &Reader, counts: &[u64], options: &StreamOptions) -> Self {
        // A window of 0 and one of 1 are the same.
        let window = options.shuffle_window.max(1);
        Self {
            subjects: digest(&format!("{:?}", reader.subjects)),
            images: digest(&format!("{:?} {:?}", options.images, options.sampled())),
            sampler: digest(&format!("{:?}", reader.sampler)),
            order: digest(&format!("{ORDER} {window} {counts:?}")),
            draws: String::new(),
        }
    }

    /// The same with the digest of what is drawn from.
    pub(super) fn with_draws(&self, draws: &str) -> Self {
        Self { draws: draws.to_owned(), ..self.clone() }
    }
}

impl StreamState {
    /// Refuses a state that is not of this configuration.
    pub(super) fn check(&self, seed: u64, configuration: &Configuration, total: u64) -> Result<()> {
        if self.seed != seed {
            let reason = format!("the state to resume has the seed {}; use that", self.seed);
            return Err(Error::invalid("seed", seed, reason));
        }
        let (saved, own) = (&self.configuration, configuration);
        for (what, saved, own) in [
            ("the subjects or their order", &saved.subjects, &own.subjects),
            ("the images or their views", &saved.images, &own.images),
            ("the sampler", &saved.sampler, &own.sampler),
            ("the patches per subject or the shuffle window", &saved.order, &own.order),
            ("the sampled voxels, or how draws follow from them,", &saved.draws, &own.draws),
        ] {
            if saved != own {
                let reason = format!(
                    "it was saved by a stream of which {what} differed; make one with the same \
                     options to resume it, or begin anew"
                );
                return Err(Error::invalid("stream state", saved, reason));
            }
        }
        if self.consumed > total {
            let reason = format!("an epoch has {total} positions; the state is damaged");
            return Err(Error::invalid("consumed positions", self.consumed, reason));
        }
        Ok(())
    }
}

/// The digest of what is drawn from: of the sampled volume of each subject its shape and, if the
/// sampler follows them, its voxels, whatever their chunks and codec. False if a volume could not
/// be opened, which counts as one without voxels.
pub(super) fn draws(reader: &Reader) -> (String, bool) {
    let follows = reader.sampler.follows_voxels();
    let volume = |n| {
        let volume = reader.sampled_volume(n).ok()?;
        Some((volume.shape(), follows.then(|| volume.voxel_digest().to_owned())))
    };
    let volumes: Vec<_> = (0..reader.subjects.len()).map(volume).collect();
    (digest(&format!("{DRAWS} {volumes:?}")), volumes.iter().all(Option::is_some))
}

fn digest(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}
