//! A program that predicts: what it is given, what it may answer, and what happens if it does not.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::atomic::{AtomicU64, Ordering};

use crate::common::dense::{DenseScan, store, voxels};
use crate::common::predict::source;
use crate::common::watched::watched;
use ndarray::{Array3, Array5, Axis};
use voxpatch::aggregate::{
    AggregateOptions, Aggregator, Blend, Output, Overwrite, Plan, Unfinished, Values, finalise,
};
use voxpatch::predict::{Model, PredictOptions, PredictReport, Step, plan, predict};
use voxpatch::sample::{GridSampler, Overlap};
use voxpatch::{
    ConvertOptions, Dataset, Dtype, Error, Frame, Frames, Padding, Pool, Region, Result, View, npy,
};

const SHAPE: [usize; 3] = [21, 18, 17];
const PATCH: [usize; 3] = [6, 8, 8];

fn options(blend: Blend) -> PredictOptions {
    let sampler = GridSampler::new(PATCH, Overlap::Voxels([2, 4, 4])).unwrap();
    let (chunk, shard) = (Some([3, 4, 5]), Some([3, 8, 10]));
    let output = Output::new("a/p".parse().unwrap(), 0, Values::Float32).chunk(chunk).shard(shard);
    PredictOptions::new(sampler, blend, vec![output])
}

fn run(
    dataset: &Dataset,
    view: &View,
    command: &str,
    options: &PredictOptions,
) -> Result<PredictReport> {
    let model = Model::start(command)?;
    predict(view, dataset, model, options, &Pool::new(2).unwrap(), &|_| true)
}

fn read(view: &View, channel: usize) -> Array3<f32> {
    let view = view.frame(Frame { time: 0, channel }).unwrap().scaled();
    view.read(Region::whole(view.volume().shape())).unwrap()
}

fn close(found: &Array3<f32>, expected: &Array3<f32>) {
    assert_eq!(found.dim(), expected.dim());
    for (found, expected) in found.iter().zip(expected) {
        // Voxels of 16 bits, and as many in the sums.
        assert!((found - expected).abs() <= 0.02, "{found} {expected}");
    }
}

#[test]
fn the_identity_gives_the_volume_back_in_every_mode_and_batch() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), SHAPE);
    let expected = read(&volume.view(), 0);
    let gaussian = Blend::Gaussian { sigma_scale: 0.125 };
    for (blend, batch) in
        [(Blend::Crop, 1), (Blend::Average, 3), (Blend::Hann, 4), (gaussian, 1000)]
    {
        let mut options = options(blend).batch(batch);
        options.aggregate.overwrite = Overwrite::Predictions;
        let report = run(&dataset, &volume.view().scaled(), "cat", &options).unwrap();
        close(&read(&dataset.volume("a/p").unwrap().view(), 0), &expected);
        assert_eq!((report.patches, report.heads[0].channels), (report.of, 1));
        assert_eq!(report.heads[0].dtype, "float32");
        assert!(report.published.unwrap().outputs[0].source_format == "predictions");
    }
}

#[test]
fn all_channels_of_a_time_point_are_given_padded_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path().join("s.zarr")).unwrap();
    let image: Array5<f32> = voxels::<i16>([2, 3, 7, 9, 5], 1).mapv(f32::from);
    let convert = ConvertOptions::default();
    store(DenseScan::new(&image), &dataset, "a/image", &convert).unwrap();
    let volume = dataset.volume("a/image").unwrap().view().padded(Padding::Edge);
    let sampler = GridSampler::new([8, 6, 8], Overlap::Voxels([4, 3, 4])).unwrap();
    let sampler = sampler.pad_small_volumes(true).pad_borders(true);
    let options = options(Blend::Average).sampler(sampler).frames(Frames::Time(1));
    let report = run(&dataset, &volume, "cat", &options).unwrap();
    assert_eq!(report.heads[0].channels, 3);
    let made = dataset.volume("a/p").unwrap();
    for channel in 0..3 {
        let expected = image.index_axis(Axis(0), 1).index_axis(Axis(0), channel).to_owned();
        close(&read(&made.view(), channel), &expected);
    }
}

#[test]
fn a_scan_with_modalities_in_its_fourth_axis_is_never_predicted_from_the_first_alone_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path().join("s.zarr")).unwrap();
    let image: Array5<f32> = voxels::<i16>([4, 1, 7, 9, 8], 1).mapv(f32::from);
    store(DenseScan::new(&image), &dataset, "a/image", &ConvertOptions::default()).unwrap();
    let volume = dataset.volume("a/image").unwrap();
    let sampler = GridSampler::new([6, 8, 8], Overlap::Voxels([2, 4, 4])).unwrap();
    let unasked = options(Blend::Average).sampler(sampler);
    let error = run(&dataset, &volume.view(), "cat", &unasked).unwrap_err().to_string();
    assert!(error.contains("time points") && error.contains('4'), "{error}");
    let all = unasked.clone().frames(Frames::All);
    let report = run(&dataset, &volume.view(), "cat", &all).unwrap();
    assert_eq!(report.heads[0].channels, 4);
    let made = dataset.volume("a/p").unwrap();
    for time in 0..4 {
        let expected = image.index_axis(Axis(0), time).index_axis(Axis(0), 0).to_owned();
        close(&read(&made.view(), time), &expected);
    }
    let beyond = unasked.frames(Frames::Time(4));
    assert!(run(&dataset, &volume.view(), "cat", &beyond).is_err());
}

#[test]
fn several_outputs_take_the_same_head_or_another() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), SHAPE);
    let mut options = options(Blend::Crop);
    let output = |name: &str, head, values| {
        Output::new(format!("a/{name}").parse().unwrap(), 0, values).head(head)
    };
    options.outputs = vec![
        output("p", 0, Values::Float32),
        output("mask", 0, Values::Threshold(50.0)),
        output("q", 1, Values::Float32),
    ];
    // Each patch twice: what is read is answered by two blocks.
    let size = 128 + 6 * 8 * 8 * 4;
    let twice = format!("while head -c {size} > block && [ -s block ]; do cat block block; done");
    let command = format!("cd {}; {twice}", folder.path().display());
    let report = run(&dataset, &volume.view().scaled(), &command, &options).unwrap();
    assert_eq!(report.heads.len(), 2);
    let expected = read(&volume.view(), 0);
    close(&read(&dataset.volume("a/q").unwrap().view(), 0), &expected);
    let mask = read(&dataset.volume("a/mask").unwrap().view(), 0);
    assert_eq!(mask, expected.mapv(|v| f32::from(u8::from(v >= 50.0))));
}

#[test]
fn a_model_may_hold_back_its_answers_until_its_input_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), SHAPE);
    let command = format!("cd {}; cat > all; cat all", folder.path().display());
    run(&dataset, &volume.view().scaled(), &command, &options(Blend::Hann)).unwrap();
    close(&read(&dataset.volume("a/p").unwrap().view(), 0), &read(&volume.view(), 0));
}

/// A part asks for one patch first; this model answers when it has the second.
#[test]
fn a_model_that_holds_back_the_end_of_an_answer_is_given_more() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), SHAPE);
    let size = 128 + 6 * 8 * 8 * 4;
    let command =
        format!("(head -c {}; cat) | (dd bs={} iflag=fullblock 2>/dev/null)", size, size + 1);
    let options = options(Blend::Hann).part(Some((0, 1)));
    run(&dataset, &volume.view().scaled(), &command, &options).unwrap();
    close(&read(&dataset.volume("a/p").unwrap().view(), 0), &read(&volume.view(), 0));
}

#[test]
fn a_model_that_does_not_do_as_it_is_to_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), SHAPE);
    let block = |header: &str| {
        let header = header.replace('\'', "\\047");
        format!(
            "printf '\\223NUMPY\\001\\000\\{:03o}\\000{header}'; cat > /dev/null",
            header.replace("\\047", "'").len()
        )
    };
    let dictionary = |descr: &str, fortran: &str, shape: &str| {
        block(&format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}"))
    };
    for (command, told) in [
        ("false".to_owned(), &["exit status: 1", "patch 42, 6x8x8 at 8,8,8"][..]),
        ("echo hello".to_owned(), &["\"hello\\n\"", "file=sys.stderr"]),
        ("printf hi".to_owned(), &["\"hi\""]),
        ("yes".to_owned(), &["\"y\\ny\\n"]),
        ("head -c 1000".to_owned(), &["exit status: 0", "patch 42", "1000 bytes"]),
        ("head -c 20000; exit 3".to_owned(), &["exit status: 3", "had answered patch"]),
        ("cat > /dev/null".to_owned(), &["exit status: 0", "before it had answered patch 42"]),
        (
            "cat; echo more".to_owned(),
            &["answered every patch, but its output goes on with \
                                         \"more\\n\""],
        ),
        ("cat; exit 4".to_owned(), &["exit status: 4", "end without an error"]),
        ("kill -9 $$".to_owned(), &["SIGKILL"]),
        ("no-such-program".to_owned(), &["exit status: 127"]),
        (dictionary("<f4", "True", "(1, 1, 6, 8, 8)"), &["ascontiguousarray"]),
        (dictionary(">f4", "False", "(1, 1, 6, 8, 8)"), &["astype"]),
        (dictionary("<f4", "False", "(1, 6, 8, 8)"), &["five axes", "(1, 6, 8, 8)"]),
        (dictionary("<f4", "False", "(1, 1, 5, 8, 8)"), &["divide those of the patch, 6x8x8"]),
        (dictionary("<f8", "False", "(1, 65536, 6, 8, 8)"), &["exit status: 0", "before"]),
        (dictionary("<f4", "False", "(1, 99999999999, 6, 8, 8)"), &["channels"]),
        (block("{}"), &["dictionary"]),
    ] {
        let mut options = options(Blend::Crop);
        options.aggregate.unfinished = Unfinished::Restart;
        let error = run(&dataset, &volume.view().scaled(), &command, &options).unwrap_err();
        assert!(matches!(error, Error::Model { .. }), "{command}: {error}");
        let error = error.to_string();
        for told in told.iter().chain(&[&command[..]]) {
            assert!(error.contains(told), "{command}: {error}");
        }
        assert!(dataset.volume("a/p").is_err());
    }
    // Stored voxels are no predictions: int16.
    let mut options = options(Blend::Crop);
    options.aggregate.unfinished = Unfinished::Restart;
    let error = run(&dataset, &volume.view(), "cat", &options).unwrap_err().to_string();
    assert!(error.contains("<i2") && error.contains("astype"), "{error}");
}

#[test]
fn what_was_written_before_an_error_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), SHAPE);
    let volume = volume.view().scaled();
    // The same command both times: it fails if there is no file.
    let command = format!(
        "cd {}; if [ -e second ]; then cat; else touch second; head -c 120000; exit 1; fi",
        folder.path().display()
    );
    let mut options = options(Blend::Average);
    let error = run(&dataset, &volume, &command, &options).unwrap_err();
    assert!(matches!(error, Error::Model { .. }), "{error}");
    let refused = run(&dataset, &volume, &command, &options).unwrap_err();
    assert!(matches!(refused, Error::Unfinished { .. }), "{refused}");
    options.aggregate.unfinished = Unfinished::Resume;
    let other = run(&dataset, &volume, "cat", &options).unwrap_err().to_string();
    assert!(other.contains("the maker of the predictions") && other.contains("cat"), "{other}");
    let report = run(&dataset, &volume, &command, &options).unwrap();
    assert!(report.patches < report.of && report.patches > 0, "{report:?}");
    close(&read(&dataset.volume("a/p").unwrap().view(), 0), &read(&volume, 0));
}

/// A model that gives more blocks, or fewer, than one for each head of each batch: its answers were
/// taken for those to other patches, and none of them may stay.
#[test]
fn answers_that_are_out_of_step_leave_nothing_to_go_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let block = 128 + 4 * PATCH.iter().product::<usize>();
    let file = folder.path().join("block").display().to_string();
    let twice = format!(
        "while head -c {block} > {file} && [ -s {file} ]; do cat {file} {file} || exit 1; done"
    );
    let (dataset, volume) = source(folder.path(), SHAPE);
    let volume = volume.view().scaled();
    let mut one = options(Blend::Average);
    let mut two = options(Blend::Average);
    let second = two.outputs[0].clone().name("a/q".parse().unwrap()).head(1);
    two.outputs.push(second);
    let error = run(&dataset, &volume, &twice, &one).unwrap_err().to_string();
    assert!(error.contains("out of step"), "{error}");
    let left = crate::common::faulty::litter(&dataset.path());
    assert!(left.is_empty(), "{left:?}");
    // One block where two are wanted: each is taken for the other head's, until the model ends.
    let error = run(&dataset, &volume, "cat", &two).unwrap_err().to_string();
    assert!(error.contains("may be wrong"), "{error}");
    two.aggregate.unfinished = Unfinished::Resume;
    let refused = run(&dataset, &volume, "cat", &two).unwrap_err();
    assert!(matches!(refused, Error::InDoubt { .. }), "{refused}");
    one.aggregate.unfinished = Unfinished::Restart;
    let report = run(&dataset, &volume, "cat", &one).unwrap();
    assert_eq!(report.patches, report.of);
    close(&read(&dataset.volume("a/p").unwrap().view(), 0), &read(&volume, 0));
}

/// A batch here is more than a pipe holds: the model has not read the first when it answers the
/// rest.
#[test]
fn answers_that_come_before_their_patches_are_given_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [64, 40, 40]);
    let patch = [16, 40, 40];
    let sampler = GridSampler::new(patch, Overlap::Voxels([0; 3])).unwrap();
    let output = Output::new("a/p".parse().unwrap(), 0, Values::Float32);
    let options = PredictOptions::new(sampler, Blend::Crop, vec![output]);
    let zeros = vec![0_f32; patch.iter().product()];
    let shape = [1, 1, patch[0], patch[1], patch[2]];
    let block = [npy::header(Dtype::Float32, &shape), npy::numbers(&zeros).into_owned()].concat();
    let file = folder.path().join("block");
    std::fs::write(&file, block).unwrap();
    let file = file.display();
    let model = format!("cat {file} {file} {file} {file}; cat > {file}.read");
    let error = run(&dataset, &volume.view().scaled(), &model, &options).unwrap_err().to_string();
    // Noticed while the model is tried, or later: the results of its answers are then removed.
    assert!(error.contains("before it received"), "{error}");
    let left = crate::common::faulty::litter(&dataset.path());
    assert!(left.is_empty(), "{left:?}");
}

/// A command that does one thing at first and another when it is started again: it is the same to
/// whoever resumes.
fn first_then(folder: &std::path::Path, first: &str, second: &str) -> String {
    format!(
        "cd {}; if [ -e again ]; then {second}; else touch again; {first}; fi",
        folder.display()
    )
}

#[test]
fn a_prediction_that_is_stopped_together_with_its_model_keeps_its_finished_shards() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), SHAPE);
    let volume = volume.view().scaled();
    // The model hears the signal first, and ends without an error; a moment later it is heard here.
    let first = "head -c 120000; (sleep 0.1; touch stopped) & true";
    let command = first_then(folder.path(), first, "cat");
    let mut options = options(Blend::Average);
    let stopped = folder.path().join("stopped");
    let progress = |_| !stopped.exists();
    let model = Model::start(&command).unwrap();
    let pool = Pool::new(1).unwrap();
    let error = predict(&volume, &dataset, model, &options, &pool, &progress).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    options.aggregate.unfinished = Unfinished::Resume;
    let report = run(&dataset, &volume, &command, &options).unwrap();
    assert!(report.patches < report.of && report.patches > 0, "{report:?}");
    close(&read(&dataset.volume("a/p").unwrap().view(), 0), &read(&volume, 0));
}

#[test]
fn a_model_that_ends_early_or_answers_badly_costs_no_finished_shard_and_resuming_asks_for_a_decision()
 {
    let wrong = "printf '\\223NUMPY\\001\\000\\004\\000{}  '";
    for (first, doubt) in [
        ("head -c 120000", true),
        ("(head -c 120000 | head -c 119808); echo loaded; cat >/dev/null", true),
        (&*format!("(head -c 120000 | head -c 119808); {wrong}; cat >/dev/null"), true),
        ("head -c 120000; exit 143", false),
        ("head -c 120000; kill -TERM $$", false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (dataset, volume) = source(folder.path(), SHAPE);
        let volume = volume.view().scaled();
        let command = first_then(folder.path(), first, "cat");
        let mut options = options(Blend::Average);
        let error = run(&dataset, &volume, &command, &options).unwrap_err().to_string();
        assert_eq!(error.contains("may be wrong"), doubt, "{first}: {error}");
        options.aggregate.unfinished = Unfinished::Resume;
        if doubt {
            let refused = run(&dataset, &volume, &command, &options).unwrap_err();
            assert!(matches!(refused, Error::InDoubt { .. }), "{first}: {refused}");
            let name = "a/p".parse().unwrap();
            let pool = Pool::new(1).unwrap();
            let refused = finalise(&dataset, &name, Overwrite::Nothing, &pool, &|_| true);
            assert!(matches!(refused, Err(Error::InDoubt { .. })), "{first}: {refused:?}");
            options.aggregate.unfinished = Unfinished::ResumeInDoubt;
        }
        let report = run(&dataset, &volume, &command, &options).unwrap();
        assert!(report.patches < report.of && report.patches > 0, "{first}: {report:?}");
        close(&read(&dataset.volume("a/p").unwrap().view(), 0), &read(&volume, 0));
    }
}

/// A model whose answers are zeros: another checkpoint, say.
fn zeros(folder: &std::path::Path) -> String {
    let (size, file) = (4 * PATCH.iter().product::<usize>(), folder.join("block"));
    format!(
        "while head -c {} > {file} && [ -s {file} ]; do head -c 128 {file}; \
         head -c {size} /dev/zero; done",
        size + 128,
        file = file.display()
    )
}

#[test]
fn another_model_behind_the_same_command_is_noticed_by_whoever_resumes_or_makes_a_part() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), SHAPE);
    let volume = volume.view().scaled();
    let other = zeros(folder.path());
    let command = first_then(folder.path(), "head -c 120000; exit 1", &other);
    let mut options = options(Blend::Average);
    run(&dataset, &volume, &command, &options).unwrap_err();
    options.aggregate.unfinished = Unfinished::Resume;
    let error = run(&dataset, &volume, &command, &options).unwrap_err();
    assert!(matches!(error, Error::Model { .. }), "{error}");
    assert!(error.to_string().contains("differs from that of the run that began this"), "{error}");
    options.aggregate.unfinished = Unfinished::Restart;
    let report = run(&dataset, &volume, &command, &options).unwrap();
    assert_eq!(report.patches, report.of);
    assert!(read(&dataset.volume("a/p").unwrap().view(), 0).iter().all(|voxel| *voxel == 0.0));

    std::fs::remove_dir_all(dataset.path().join("a/p")).unwrap();
    std::fs::remove_file(folder.path().join("again")).unwrap();
    let command = first_then(folder.path(), "cat", &other);
    options.aggregate.unfinished = Unfinished::Refuse;
    let part = |n| options.clone().part(Some((n, 2)));
    run(&dataset, &volume, &command, &part(1)).unwrap();
    let error = run(&dataset, &volume, &command, &part(0)).unwrap_err().to_string();
    assert!(error.contains("differs from that of the run that began this"), "{error}");
}

/// Commands by name, of which `as_told` runs the one that was chosen last: they are one text, and
/// so the same model, to whoever resumes.
fn as_told(folder: &std::path::Path, commands: &[(&str, &str)]) -> String {
    let cases: Vec<_> = commands.iter().map(|(name, run)| format!("{name}) {run};;")).collect();
    format!("cd {}; case $(cat told) in {} esac", folder.display(), cases.join(" "))
}

fn tell(folder: &std::path::Path, name: &str) {
    std::fs::write(folder.join("told"), name).unwrap();
}

/// In the corners of a scan there is air, of which all models say the same.
#[test]
fn another_model_is_noticed_though_it_says_the_same_of_air() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path().join("s.zarr")).unwrap();
    let [z, y, x] = SHAPE;
    let image = Array5::from_shape_fn((1, 1, z, y, x), |(.., z, y, x)| {
        let middle = [z.abs_diff(10), y.abs_diff(9), x.abs_diff(8)];
        if middle.iter().all(|distance| *distance < 4) { 1000_i16 } else { 0 }
    });
    store(DenseScan::new(&image), &dataset, "a/image", &ConvertOptions::default()).unwrap();
    let volume = dataset.volume("a/image").unwrap().view().scaled();
    let command = first_then(folder.path(), "head -c 120000; exit 1", &zeros(folder.path()));
    let mut options = options(Blend::Average);
    run(&dataset, &volume, &command, &options).unwrap_err();
    options.aggregate.unfinished = Unfinished::Resume;
    let error = run(&dataset, &volume, &command, &options).unwrap_err().to_string();
    assert!(error.contains("differs from that of the run that began this"), "{error}");
}

#[test]
fn what_is_there_already_is_told_before_the_model_is_given_anything() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), SHAPE);
    let mut options = options(Blend::Crop);
    run(&dataset, &volume.view().scaled(), "cat", &options).unwrap();
    for unfinished in [Unfinished::Refuse, Unfinished::Resume, Unfinished::Restart] {
        options.aggregate.unfinished = unfinished;
        let (model, pool) = (Model::start("cat").unwrap(), Pool::new(1).unwrap());
        let asked = |_| -> bool { panic!("the model is waited for") };
        let done = predict(&volume.view().scaled(), &dataset, model, &options, &pool, &asked);
        assert!(matches!(done, Err(Error::AlreadyExists { .. })), "{done:?}");
    }
}

#[test]
fn a_wrong_model_costs_nothing_of_what_the_right_one_has_made() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), SHAPE);
    let volume = volume.view().scaled();
    let begun = ("begun", "head -c 120000; exit 1");
    let other = ("other", &zeros(folder.path())[..]);
    let command = as_told(folder.path(), &[begun, other, ("ends", "exit 0"), ("right", "cat")]);
    let mut options = options(Blend::Average);
    let mut run_as = |state: &str| {
        tell(folder.path(), state);
        let done = run(&dataset, &volume, &command, &options);
        options.aggregate.unfinished = Unfinished::Resume;
        done
    };
    run_as("begun").unwrap_err();
    let error = run_as("other").unwrap_err().to_string();
    assert!(error.contains("differs from that of the run that began this"), "{error}");
    run_as("ends").unwrap_err();
    let report = run_as("right").unwrap();
    assert!(report.patches < report.of, "{} of {}", report.patches, report.of);
    close(&read(&dataset.volume("a/p").unwrap().view(), 0), &read(&volume, 0));
}

/// Ends the test, and says where, if something takes a minute.
fn within_a_minute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, waited) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    waited.recv_timeout(std::time::Duration::from_mins(1)).expect("it does not wait for ever")
}

#[test]
fn a_program_that_the_model_has_left_running_keeps_nobody_waiting_and_is_ended() {
    for (model, is_good) in [("cat", true), ("exit 3", false), ("head -c 120000", false)] {
        let (outcome, pid) = within_a_minute(move || {
            let folder = tempfile::tempdir().unwrap();
            let (dataset, volume) = source(folder.path(), SHAPE);
            let pid = folder.path().join("pid");
            let command = format!("sleep 600 & echo $! > {}; {model}", pid.display());
            let outcome = run(&dataset, &volume.view().scaled(), &command, &options(Blend::Hann));
            (outcome, std::fs::read_to_string(pid).unwrap().trim().to_owned())
        });
        assert_eq!(outcome.is_ok(), is_good, "{model}: {outcome:?}");
        within_a_minute(move || {
            // It was killed; whoever waits for orphans may take a moment.
            let status = format!("/proc/{pid}/stat");
            while std::fs::read_to_string(&status).is_ok_and(|stat| !stat.contains(") Z")) {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        });
    }
}

/// The model adds to each voxel what depends on the number of the patch, so that a patch that is
/// put elsewhere, or blended otherwise, shows: under the identity any blending gives the volume.
#[test]
fn what_depends_on_the_place_of_a_patch_is_blended_as_by_the_aggregator_itself() {
    const MODEL: &str = "
import sys, array
size, number = 4 * 6 * 8 * 8, 0
while header := sys.stdin.buffer.read(128):
    voxels = array.array('f', sys.stdin.buffer.read(size))
    for n in range(len(voxels)):
        voxels[n] += 16 * number + n % 7
    sys.stdout.buffer.write(header + voxels.tobytes())
    number += 1
";
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), SHAPE);
    let volume = volume.view().scaled();
    let file = folder.path().join("model.py");
    std::fs::write(&file, MODEL).unwrap();
    for blend in [Blend::Crop, Blend::Average, Blend::Hann] {
        let mut options = options(blend);
        options.aggregate.overwrite = Overwrite::Predictions;
        run(&dataset, &volume, &format!("python3 {}", file.display()), &options).unwrap();
        let found = read(&dataset.volume("a/p").unwrap().view(), 0);

        let output = options.outputs[0].clone().channels(1);
        let output = output.name("a/q".parse().unwrap());
        let grid = Plan::new(volume.volume(), &options.sampler, blend, vec![output]).unwrap();
        let made = AggregateOptions::default().overwrite(Overwrite::Predictions);
        let aggregator = Aggregator::begin(&dataset, grid, &made).unwrap();
        // The model is given the patch in the middle first.
        let [_, rows, columns] = aggregator.plan().grid().shape();
        let middle = aggregator.plan().grid().shape().map(|n| n as u64 / 2);
        let middle = (middle[0] * rows as u64 + middle[1]) * columns as u64 + middle[2];
        let others = aggregator.plan().order().filter(|number| *number != middle);
        let order: Vec<u64> = std::iter::once(middle).chain(others).collect();
        for (n, number) in (0_u16..).zip(order) {
            let region = aggregator.plan().grid().region(number).unwrap();
            let mut patch = volume.read::<f32>(region).unwrap().insert_axis(Axis(0));
            for (at, voxel) in (0_u16..).zip(&mut patch) {
                *voxel += f32::from(16 * n + at % 7);
            }
            aggregator.add(number, &[patch.view()]).unwrap();
        }
        aggregator.finish(&Pool::new(1).unwrap(), &|_| true).unwrap();
        assert_eq!(found, read(&dataset.volume("a/q").unwrap().view(), 0), "{blend}");
    }
}

#[test]
fn parts_are_made_one_by_one_and_published_together() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), SHAPE);
    let volume = volume.view().scaled();
    let whole = options(Blend::Hann);
    let planned = plan(&volume, Model::start("cat").unwrap(), &whole, &|_| true).unwrap();
    let parts = planned.split(3).unwrap();
    assert!(!dataset.path().join(".aggregate-a+p").exists());
    for part in parts.iter().rev() {
        let options = whole.clone().part(Some((part.index, 3)));
        let report = run(&dataset, &volume, "cat", &options).unwrap();
        assert_eq!(report.patches, part.patches);
        assert!(report.published.is_none() && dataset.volume("a/p").is_err());
    }
    let name = "a/p".parse().unwrap();
    finalise(&dataset, &name, Overwrite::Nothing, &Pool::new(1).unwrap(), &|_| true).unwrap();
    close(&read(&dataset.volume("a/p").unwrap().view(), 0), &read(&volume, 0));
}

#[test]
fn a_model_that_is_waited_for_can_be_given_up_on() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), SHAPE);
    let pool = Pool::new(1).unwrap();
    for command in ["sleep 600", "sleep 600 | cat", "cat; sleep 600"] {
        let steps = AtomicU64::new(0);
        let progress = |step| {
            let is_waiting = matches!(step, Step::Predicted(0));
            !is_waiting || steps.fetch_add(1, Ordering::Relaxed) < 3
        };
        let mut options = options(Blend::Crop);
        options.aggregate.unfinished = Unfinished::Restart;
        let model = Model::start(command).unwrap();
        let error = predict(&volume.view().scaled(), &dataset, model, &options, &pool, &progress);
        assert!(matches!(error, Err(Error::Cancelled)), "{command}: {error:?}");
    }
}

#[test]
fn patches_that_cannot_be_read_are_told_whatever_the_model_does() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), SHAPE);
    let sampler = GridSampler::new(PATCH, Overlap::Voxels([2; 3])).unwrap().pad_borders(true);
    for command in ["cat", "sleep 600"] {
        let options = options(Blend::Crop).sampler(sampler.clone());
        let error = run(&dataset, &volume.view().scaled(), command, &options).unwrap_err();
        assert!(matches!(error, Error::OutOfBounds { .. }), "{error}");
        assert!(crate::common::faulty::litter(&dataset.path()).is_empty());
    }
    let options = options(Blend::Crop).frames(Frames::Time(1));
    assert!(run(&dataset, &volume.view().scaled(), "cat", &options).is_err());
    assert!(Model::start(" ").is_err());
}

/// A patch's block, and the patches that are answered before the model ends or is stopped.
const BLOCK: usize = 128 + 4 * PATCH[0] * PATCH[1] * PATCH[2];
const ANSWERED: u64 = 23;

#[test]
fn a_prediction_that_ends_by_itself_or_is_told_to_is_gone_on_with_from_the_last_answer() {
    let whole = {
        let folder = tempfile::tempdir().unwrap();
        let (dataset, volume) = source(folder.path(), SHAPE);
        run(&dataset, &volume.view().scaled(), "cat", &options(Blend::Hann)).unwrap();
        dataset.volume("a/p").unwrap().voxel_digest().to_owned()
    };
    let answers = format!("head -c {}", u64::try_from(BLOCK).unwrap() * ANSWERED);
    for (end, doubt) in [("exit 1", false), ("true", true), ("touch stop; sleep 60", false)] {
        let folder = tempfile::tempdir().unwrap();
        let (dataset, volume) = source(folder.path(), SHAPE);
        let volume = volume.view().scaled();
        let command = first_then(folder.path(), &format!("{answers}; {end}"), "cat");
        let mut options = options(Blend::Hann);
        options.aggregate.checkpoint = None;
        let (stop, pool) = (folder.path().join("stop"), Pool::new(1).unwrap());
        let steps = AtomicU64::new(0);
        let progress = |step| {
            if let Step::Predicted(n) = step {
                steps.fetch_add(n, Ordering::Relaxed);
            }
            !(stop.exists() && steps.load(Ordering::Relaxed) == ANSWERED)
        };
        let model = Model::start(&command).unwrap();
        let error = predict(&volume, &dataset, model, &options, &pool, &progress).unwrap_err();
        assert_eq!(matches!(error, Error::Cancelled), end.contains("stop"), "{end}: {error}");
        options.aggregate.unfinished =
            if doubt { Unfinished::ResumeInDoubt } else { Unfinished::Resume };
        let begun = std::sync::Mutex::new(None);
        let progress = |step| {
            if let Step::Begun { patches, of, .. } = step {
                *begun.lock().unwrap() = Some((patches, of));
            }
            true
        };
        let model = Model::start(&command).unwrap();
        let report = predict(&volume, &dataset, model, &options, &pool, &progress).unwrap();
        assert_eq!(report.patches, report.of - ANSWERED, "{end}");
        assert_eq!(begun.into_inner().unwrap(), Some((report.patches, report.of)));
        assert_eq!(dataset.volume("a/p").unwrap().voxel_digest(), whole, "{end}");
    }
}

#[test]
fn what_is_held_is_kept_while_predicting() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), SHAPE);
    let mut often = options(Blend::Hann);
    often.aggregate.checkpoint = Some(std::time::Duration::ZERO);
    let report = run(&dataset, &volume.view().scaled(), "cat", &often).unwrap();
    assert!(report.checkpoints.written > 0 && report.checkpoints.failed.is_none());
    assert!(report.checkpoints.seconds < report.seconds, "{report:?}");
}

/// A run whose answers are out of step takes back its own work, and nothing of the run before: also
/// where it was told that its work could not be kept, though it was.
#[test]
fn what_an_earlier_run_has_kept_outlives_one_whose_answers_are_out_of_step() {
    let always = Some(std::time::Duration::ZERO);
    for (often, fails) in [(None, false), (always, false), (always, true)] {
        let folder = tempfile::tempdir().unwrap();
        let (dataset, volume) = source(folder.path(), SHAPE);
        let volume = volume.view().scaled();
        let disk = watched(dataset.path());
        if fails {
            disk.refuse("streamed", ".bin", std::io::ErrorKind::QuotaExceeded);
        }
        let watched = Dataset::open_on(disk.handle()).unwrap();
        let bytes = u64::try_from(BLOCK).unwrap() * ANSWERED;
        let begun = format!("head -c {bytes}; exit 1");
        let twice = format!(
            "while head -c {BLOCK} > block && [ -s block ]; do cat block block || exit 1; done"
        );
        let command =
            as_told(folder.path(), &[("begun", &begun), ("twice", &twice), ("right", "cat")]);
        let mut options = options(Blend::Hann);
        options.aggregate.checkpoint = often;
        let mut run_as = |dataset: &Dataset, state: &str| {
            tell(folder.path(), state);
            let done = run(dataset, &volume, &command, &options);
            options.aggregate.unfinished = Unfinished::Resume;
            done
        };
        run_as(&dataset, "begun").unwrap_err();
        for _ in 0..2 {
            let error = run_as(&watched, "twice").unwrap_err().to_string();
            assert!(error.contains("out of step"), "{error}");
        }
        let report = run_as(&dataset, "right").unwrap();
        assert_eq!(report.patches, report.of - ANSWERED, "{often:?} {fails}");
        close(&read(&dataset.volume("a/p").unwrap().view(), 0), &read(&volume, 0));
    }
}

#[test]
fn what_was_begun_and_is_damaged_can_be_restarted() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), SHAPE);
    let volume = volume.view().scaled();
    let mut options = options(Blend::Hann);
    run(&dataset, &volume, "head -c 120000; exit 1", &options).unwrap_err();
    std::fs::write(dataset.path().join(".aggregate-a+p/job.json"), b"{}").unwrap();
    for unfinished in [Unfinished::Refuse, Unfinished::Resume] {
        options.aggregate.unfinished = unfinished;
        let error = run(&dataset, &volume, "cat", &options).unwrap_err();
        assert!(matches!(error, Error::CorruptStore { .. }), "{error}");
    }
    options.aggregate.unfinished = Unfinished::Restart;
    let report = run(&dataset, &volume, "cat", &options).unwrap();
    assert_eq!(report.patches, report.of);
}

#[test]
fn a_shard_that_cannot_be_written_is_told_with_its_cause_however_often_the_rest_is_kept() {
    for often in [None, Some(std::time::Duration::ZERO)] {
        let folder = tempfile::tempdir().unwrap();
        let (dataset, volume) = source(folder.path(), SHAPE);
        // A file where shards go, made when the aggregation has begun.
        let shards = dataset.path().join("a/p");
        let shards = shards.display();
        let command = format!("head -c {BLOCK}; sleep 0.5; rm -rf {shards}; touch {shards}; cat");
        let mut options = options(Blend::Crop);
        options.aggregate.checkpoint = often;
        let error = run(&dataset, &volume.view().scaled(), &command, &options).unwrap_err();
        let Error::Io { source, .. } = &error else { panic!("{often:?}: {error}") };
        assert!(source.raw_os_error().is_some(), "{often:?}: {error}");
    }
}

#[test]
fn voxels_that_are_cut_off_are_counted_in_each_run() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), SHAPE);
    let volume = volume.view().scaled();
    let expected = read(&volume, 0);
    let answers = format!("head -c {}; exit 1", u64::try_from(BLOCK).unwrap() * ANSWERED);
    let command = first_then(folder.path(), &answers, "cat");
    let mut options = options(Blend::Crop);
    let bytes = options.outputs[0].clone().values(Values::UInt8 { scale: 0.125 });
    options.outputs.push(bytes.name("a/bytes".parse().unwrap()));
    run(&dataset, &volume, &command, &options).unwrap_err();
    options.aggregate.unfinished = Unfinished::Resume;
    let part = run(&dataset, &volume, &command, &options).unwrap();
    options.aggregate.unfinished = Unfinished::Refuse;
    options.aggregate.overwrite = Overwrite::Predictions;
    let report = run(&dataset, &volume, &command, &options).unwrap();
    let resumed = part.clipped[1].below + part.clipped[1].above;
    assert!(part.patches < part.of && resumed > 0);
    let count = |is: fn(&&f32) -> bool| expected.iter().filter(is).count() as u64;
    let [floats, bytes] = &report.clipped[..] else { panic!("{report:?}") };
    assert_eq!((floats.below, floats.above), (0, 0));
    assert_eq!((&bytes.output[..], bytes.below), ("a/bytes", count(|v| **v < -0.0625)));
    assert_eq!(bytes.above, count(|v| **v >= 255.5 * 0.125));
    assert!(bytes.below + bytes.above > resumed);
    assert_eq!(report.published.unwrap().clipped, Some(report.clipped));
}
