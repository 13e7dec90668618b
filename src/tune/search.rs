//! A minimum without derivatives.

/// First step along a coordinate, and the one below which the search ends.
const STEPS: (f64, f64) = (0.4, 0.04);

/// Looks for the point at which `objective` is least: first at each of `starts`, then around the best of them, one coordinate after
/// another by a step that is halved whenever no direction is better. Looks at no more than `limit` points that can be used; `objective` is
/// `None` at others. What was best is known to whoever computes `objective`.
///
/// # Errors
/// The first error of `objective`.
pub(super) fn minimise<E>(
    starts: &[Vec<f64>],
    limit: usize,
    mut objective: impl FnMut(&[f64]) -> Result<Option<f64>, E>,
) -> Result<(), E> {
    let mut left = limit;
    let mut look = |point: &[f64]| -> Result<Option<f64>, E> {
        if left == 0 {
            return Ok(None);
        }
        let value = objective(point)?;
        left -= usize::from(value.is_some());
        Ok(value)
    };
    let mut best: Option<(Vec<f64>, f64)> = None;
    for start in starts {
        if let Some(value) = look(start)?
            && best.as_ref().is_none_or(|(_, least)| value < *least)
        {
            best = Some((start.clone(), value));
        }
    }
    let Some((mut point, mut least)) = best else {
        return Ok(());
    };
    let (mut step, last) = STEPS;
    while step >= last {
        let before = least;
        for coordinate in 0..point.len() {
            for direction in [step, -step] {
                let mut next = point.clone();
                next[coordinate] += direction;
                if let Some(value) = look(&next)?
                    && value < least
                {
                    (point, least) = (next, value);
                    break;
                }
            }
        }
        if least >= before {
            step /= 2.0;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(
        starts: &[Vec<f64>],
        limit: usize,
        f: impl Fn(&[f64]) -> Option<f64>,
    ) -> (Vec<f64>, usize) {
        let (mut best, mut looks) = ((Vec::new(), f64::INFINITY), 0);
        let result = minimise(starts, limit, |point| {
            let value = f(point);
            looks += usize::from(value.is_some());
            if let Some(value) = value.filter(|value| *value < best.1) {
                best = (point.to_vec(), value);
            }
            Ok::<_, ()>(value)
        });
        result.unwrap();
        (best.0, looks)
    }

    #[test]
    fn a_bowl_is_walked_to_its_bottom() {
        let bowl = |p: &[f64]| Some((p[0] - 1.3).powi(2) + 2.0 * (p[1] + 0.7).powi(2));
        let (found, looks) = search(&[vec![5.0, 5.0], vec![0.0, 0.0]], 1000, bowl);
        assert!(
            (found[0] - 1.3).abs() < 0.05 && (found[1] + 0.7).abs() < 0.05,
            "{found:?}"
        );
        assert!(looks < 100, "{looks}");
    }

    #[test]
    fn the_limit_holds_and_what_cannot_be_used_does_not_count() {
        let wall = |p: &[f64]| (p[0] >= 0.0).then_some(p[0]);
        let (found, looks) = search(&[vec![-1.0], vec![3.0]], 4, wall);
        assert_eq!(looks, 4);
        assert!((found[0] - 2.6).abs() < 1e-9, "{found:?}");
        assert_eq!(search(&[vec![-1.0]], 4, wall).1, 0);
    }

    #[test]
    fn an_error_ends_the_search() {
        let result = minimise(&[vec![0.0]], 9, |_| Err::<Option<f64>, _>("stop"));
        assert_eq!(result, Err("stop"));
    }
}
