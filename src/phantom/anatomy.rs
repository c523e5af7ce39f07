//! Where each tissue is: a handful of ellipses, and trees of tubes inside the lungs.
//!
//! Positions are millimetres of a chest 350 mm wide, centred on the volume; the volume is scaled
//! so that the drawing just fits. Here alone triples are `x, y, z`: right, front, head.
#![allow(clippy::cast_precision_loss)]

use super::Tissue;
use super::noise::uniform;
use crate::Spacing;

/// Width (`x`) and depth (`y`) that the anatomy below is drawn for, in millimetres.
const DRAWING: (f64, f64) = (350.0, 280.0);
/// Vertebra and disc together, and the disc.
const VERTEBRA: (f64, f64) = (28.0, 6.0);
/// Distance of one rib to the next, its height, and how steeply it falls towards the front.
const RIB: (f64, f64, f64) = (26.0, 10.0, 0.35);
const LEVELS_OF_VESSELS: u32 = 9;
const NODULES_PER_LUNG: u64 = 5;

#[derive(Debug, Clone)]
pub(super) struct Anatomy {
    shape: [usize; 3],
    /// Millimetres from voxel to voxel along `x, y, z`, scaled to the drawing.
    step: [f64; 3],
    half_height: f64,
    tubes: Vec<Tube>,
}

/// A tube with round ends, or a ball if it has no length.
#[derive(Debug, Clone)]
struct Tube {
    from: [f64; 3],
    to: [f64; 3],
    radius: f64,
    tissue: Tissue,
}

/// An upright ellipse in one plane: centre and half axes along `x, y`.
#[derive(Debug, Clone, Copy)]
struct Ellipse {
    centre: [f64; 2],
    half: [f64; 2],
}

impl Ellipse {
    const fn centred(half_x: f64, half_y: f64) -> Self {
        Self { centre: [0.0, 0.0], half: [half_x, half_y] }
    }

    /// From and to where it covers the row at `y`.
    fn span(self, y: f64) -> Option<(f64, f64)> {
        let height = (y - self.centre[1]) / self.half[1];
        let width = self.half[0] * (1.0 - height * height).sqrt();
        (width > 0.0).then_some((self.centre[0] - width, self.centre[0] + width))
    }
}

/// The lung on one side: a half ellipsoid axis triple around its centre.
#[derive(Debug, Clone, Copy)]
struct Lung {
    centre: [f64; 3],
    half: [f64; 3],
}

impl Lung {
    fn pair(half_height: f64) -> [Self; 2] {
        [(-1.0, 62.0), (1.0, 68.0)].map(|(side, width)| Self {
            centre: [side * 78.0, 2.0, 0.0],
            half: [width, 88.0, half_height * 1.05],
        })
    }

    fn cut(self, z: f64) -> Ellipse {
        let height = (z - self.centre[2]) / self.half[2];
        let scale = (1.0 - height * height).max(0.0).sqrt();
        let [x, y, _] = self.centre;
        Ellipse { centre: [x, y], half: [self.half[0] * scale, self.half[1] * scale] }
    }
}

impl Anatomy {
    pub(super) fn new(shape: [usize; 3], spacing: Spacing) -> Self {
        let [sz, sy, sx] = spacing.mm();
        let [nz, ny, nx] = shape.map(|n| n as f64);
        let scale = (DRAWING.0 / (nx * sx)).max(DRAWING.1 / (ny * sy));
        let step = [sx * scale, sy * scale, sz * scale];
        let half_height = nz * step[2] / 2.0;
        let mut tubes = Vec::new();
        for (lung, root) in Lung::pair(half_height).into_iter().zip([1_u64, 1 << 32]) {
            grow_vessels(&mut tubes, lung, root);
            place_nodules(&mut tubes, lung, root << 20);
        }
        Self { shape, step, half_height, tubes }
    }

    /// Tissues of plane `z`, row by row.
    pub(super) fn plane(&self, z: usize) -> Vec<Tissue> {
        let [planes, rows, columns] = self.shape;
        let mm = self.position(2, z, planes);
        let lungs = Lung::pair(self.half_height).map(|lung| lung.cut(mm));
        let mut plane = vec![Tissue::Air; rows * columns];
        for (y, row) in plane.chunks_exact_mut(columns).enumerate() {
            self.paint_row(row, self.position(1, y, rows), mm, lungs);
        }
        for tube in &self.tubes {
            self.paint_tube(&mut plane, tube, mm);
        }
        plane
    }

    fn position(&self, axis: usize, voxel: usize, voxels: usize) -> f64 {
        (voxel as f64 + 0.5 - voxels as f64 / 2.0) * self.step[axis]
    }

    /// The voxels of an axis whose centres lie in a span of millimetres.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn voxels(&self, axis: usize, span: (f64, f64), voxels: usize) -> std::ops::Range<usize> {
        let first_centre = self.position(axis, 0, voxels);
        // A negative value becomes 0, a large one is cut: `as` saturates.
        let index = |mm: f64| (((mm - first_centre) / self.step[axis]).ceil() as usize).min(voxels);
        let (from, to) = (index(span.0), index(span.1));
        from..to.max(from)
    }

    /// From the outside in: what is painted later covers what was painted before.
    fn paint_row(&self, row: &mut [Tissue], y: f64, z: f64, lungs: [Ellipse; 2]) {
        let columns = row.len();
        let mut paint = |ellipse: Ellipse, tissue| {
            if let Some(span) = ellipse.span(y) {
                row[self.voxels(0, span, columns)].fill(tissue);
            }
        };
        paint(Ellipse::centred(168.0, 130.0), Tissue::Fat);
        paint(Ellipse::centred(156.0, 118.0), Tissue::Soft);
        let (distance, height, fall) = RIB;
        if (z + fall * y).rem_euclid(distance) < height {
            paint(Ellipse::centred(153.0, 105.0), Tissue::Cortex);
            paint(Ellipse::centred(147.0, 99.0), Tissue::Soft);
        }
        for lung in lungs {
            paint(lung, Tissue::Lung);
        }
        let heart = Lung { centre: [-28.0, 28.0, -0.4 * self.half_height], half: [58.0; 3] };
        paint(heart.cut(z), Tissue::Soft);
        let (vertebra, disc) = VERTEBRA;
        if z.rem_euclid(vertebra) >= disc {
            paint(Ellipse { centre: [0.0, -76.0], half: [21.0, 17.0] }, Tissue::Cortex);
            paint(Ellipse { centre: [0.0, -76.0], half: [18.0, 14.0] }, Tissue::Marrow);
        }
    }

    /// Vessels and nodules replace lung only: they end where the lung ends.
    fn paint_tube(&self, plane: &mut [Tissue], tube: &Tube, z: f64) {
        let reach = |axis: usize| {
            let (a, b) = (tube.from[axis], tube.to[axis]);
            (a.min(b) - tube.radius, a.max(b) + tube.radius)
        };
        let (bottom, top) = reach(2);
        if z < bottom || z > top {
            return;
        }
        let [_, rows, columns] = self.shape;
        for row in self.voxels(1, reach(1), rows) {
            let y = self.position(1, row, rows);
            for column in self.voxels(0, reach(0), columns) {
                let tissue = &mut plane[row * columns + column];
                if matches!(tissue, Tissue::Lung | Tissue::Vessel)
                    && tube.contains([self.position(0, column, columns), y, z])
                {
                    *tissue = tube.tissue;
                }
            }
        }
    }
}

impl Tube {
    fn contains(&self, point: [f64; 3]) -> bool {
        let along = minus(self.to, self.from);
        let to_point = minus(point, self.from);
        let length = dot(along, along);
        let t = if length > 0.0 { (dot(to_point, along) / length).clamp(0.0, 1.0) } else { 0.0 };
        let nearest = std::array::from_fn(|a| self.from[a] + t * along[a]);
        let off = minus(point, nearest);
        dot(off, off) <= self.radius * self.radius
    }
}

/// Four trees from the root of the lung towards its wall, from low to high.
fn grow_vessels(tubes: &mut Vec<Tube>, lung: Lung, root: u64) {
    let hilum = [lung.centre[0] * 0.35, lung.centre[1] - 10.0, lung.centre[2]];
    for lobe in 0..4_u64 {
        let id = root + (lobe << 24);
        let target = [
            lung.centre[0] * 1.3,
            lung.centre[1] + lung.half[1] * 0.6 * uniform(id),
            lung.centre[2] + lung.half[2] * (lobe as f64 / 2.0 - 0.75),
        ];
        let trunk = minus(target, hilum).map(|d| d * 0.4);
        grow_branch(tubes, hilum, trunk, 5.5, id, LEVELS_OF_VESSELS);
    }
}

/// A tube, and at its end two thinner and shorter ones. `id` numbers the branches as a heap
/// does, so each has its own random numbers.
fn grow_branch(
    tubes: &mut Vec<Tube>,
    from: [f64; 3],
    along: [f64; 3],
    radius: f64,
    id: u64,
    levels: u32,
) {
    if levels == 0 {
        return;
    }
    let to = std::array::from_fn(|a| from[a] + along[a]);
    tubes.push(Tube { from, to, radius, tissue: Tissue::Vessel });
    let length = dot(along, along).sqrt();
    for child in [2 * id, 2 * id + 1] {
        let turn = |a: usize| 0.85 * length * uniform(child.wrapping_mul(8) + a as u64);
        let turned: [f64; 3] = std::array::from_fn(|a| along[a] + turn(a));
        let shrink = 0.78 * length / dot(turned, turned).sqrt().max(f64::MIN_POSITIVE);
        grow_branch(tubes, to, turned.map(|d| d * shrink), radius * 0.76, child, levels - 1);
    }
}

fn place_nodules(tubes: &mut Vec<Tube>, lung: Lung, root: u64) {
    for nodule in 0..NODULES_PER_LUNG {
        let random = |n: u64| uniform(root + 8 * nodule + n);
        let at = std::array::from_fn(|a| lung.centre[a] + 0.5 * lung.half[a] * random(a as u64));
        let radius = 8.0 + 5.0 * random(3);
        tubes.push(Tube { from: at, to: at, radius, tissue: Tissue::Nodule });
    }
}

fn minus(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    std::array::from_fn(|i| a[i] - b[i])
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}
