//! Morton order: neighbours in space stay close in the order.

/// Every place of a grid of this shape, `z, y, x`, in Morton order: the order of the interleaved
/// bits of the three indices, `z` highest. A small box in the grid then consists of a few stretches
/// of the order, and a walk along the order soon returns to the neighbours of a place.
pub(crate) fn order(shape: [usize; 3]) -> Vec<[usize; 3]> {
    let mut places: Vec<[usize; 3]> = (0..shape[0])
        .flat_map(|z| (0..shape[1]).flat_map(move |y| (0..shape[2]).map(move |x| [z, y, x])))
        .collect();
    places.sort_unstable_by_key(|place| code(*place));
    places
}

/// The bits of `z, y, x`, from the lowest, as `x0 y0 z0 x1 y1 z1 ...`.
fn code(place: [usize; 3]) -> u128 {
    let spread = |index: usize| {
        (0..usize::BITS.min(42))
            .fold(0, |code, bit| code | ((index as u128 >> bit) & 1) << (3 * bit))
    };
    spread(place[0]) << 2 | spread(place[1]) << 1 | spread(place[2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_comes_once_and_octants_come_whole() {
        for shape in [[4, 4, 4], [1, 7, 3], [5, 1, 9], [2, 8, 8], [0, 3, 3]] {
            let places = order(shape);
            let mut sorted = places.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!((places.len(), sorted.len()), (shape.iter().product(), places.len()));
        }
        let places = order([4, 4, 4]);
        for (n, octant) in places.chunks(8).enumerate() {
            let corner = octant[0].map(|index| index / 2);
            assert!(octant.iter().all(|place| place.map(|index| index / 2) == corner), "{n}");
        }
        assert_eq!(places[..3], [[0, 0, 0], [0, 0, 1], [0, 1, 0]]);
    }
}
