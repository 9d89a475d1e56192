#' Distance from points to a classifier's decision boundary
#'
#' For a linear classifier the distance is |w.x + b| divided by the dual norm of w. For the
#' [bayes_rule()] the nearest boundary point is found by bisection. For any other classifier,
#' a function from an n x 2 matrix to labels -1 and 1, the boundary is searched along rays. The
#' result is then an upper bound of the distance, and a robust risk computed from it is a lower
#' bound.
#'
#' @param classifier A [linear_classifier()], a [fit_linear_at()], a [bayes_rule()], or
#'   a function.
#' @param x Points: an n x 2 matrix, or a data frame with `x1` and `x2`.
#' @param norm 2 (Euclidean) or `Inf` (largest coordinate).
#' @param ... `reach` and `directions`, if `classifier` is a function.
#' @param reach Largest distance that is searched. Beyond it the result is `Inf`.
#' @param directions Number of rays from each point.
#' @return n distances, at least 0, in the units of `x`; `Inf` if there is no boundary.
#' @examples
#' boundary_distance(vertical_line(), rbind(c(1, 7), c(-1, 0)))
#' boundary_distance(bayes_rule(), rbind(c(1, 7), c(-1, 0)))
#' @family functions of the Three Clusters
#' @export
boundary_distance <- function(classifier, x, norm = 2, ...) UseMethod("boundary_distance")

#' @export
boundary_distance.default <- function(classifier, x, norm = 2, ...) check_classifier(classifier)

#' @export
boundary_distance.linear_classifier <- function(classifier, x, norm = 2, ...) {
  norm <- check_norm(norm)
  score <- abs(linear_score(classifier, as_points(x)))
  length_w <- dual_norm(classifier$w, norm)
  if (length_w == 0) rep(Inf, length(score)) else score / length_w
}

#' @export
boundary_distance.bayes_rule <- function(classifier, x, norm = 2, ...) {
  norm <- check_norm(norm)
  x <- as_points(x)
  # The boundary is symmetric about its axis, so the nearest point is on the same
  # side as x, and one side is enough.
  x[, 2] <- abs(x[, 2] - boundary_axis(classifier))
  if (norm == 2) euclidean_to_bayes(x, classifier) else largest_coordinate_to_bayes(x, classifier)
}

# The squared distance to (h(t), t) decreases, then increases in t >= 0. Half its derivative is
# `slope`, and the root is found by bisection. At `upper` the slope is positive, since
# t >= |x2| and h(t) <= x1.
euclidean_to_bayes <- function(x, law) {
  rate <- law$m / law$sigma^2
  top <- boundary_top(law)
  height <- function(t) top - law$sigma^2 / 2 * log_cosh(rate * t)
  slope <- function(t) -(height(t) - x[, 1]) * law$m / 2 * tanh(rate * t) + t - x[, 2]
  upper <- pmax(x[, 2], (top + law$sigma^2 / 2 * log(2) - x[, 1]) * 2 / law$m)
  t <- bisect(slope, numeric(nrow(x)), upper)
  sqrt((height(t) - x[, 1])^2 + (t - x[, 2])^2)
}

# The region of -1 is convex and symmetric. A square of half-width d around one of its
# points is inside if its outer right corner is. A square around a point of +1
# is outside if its left side is to the right of h at its nearest height.
largest_coordinate_to_bayes <- function(x, law) {
  height <- function(t) boundary_top(law) - law$sigma^2 / 2 * log_cosh(law$m * t / law$sigma^2)
  inside <- x[, 1] <= height(x[, 2])
  gap <- function(d) {
    ifelse(inside, x[, 1] + d - height(x[, 2] + d),
           height(pmax(0, x[, 2] - d)) - (x[, 1] - d))
  }
  bisect(gap, numeric(nrow(x)), abs(x[, 1] - height(x[, 2])))
}

# Root of a function that is vectorised and goes from negative to positive once in
# [lower, upper]; 60 halvings reach the precision of doubles.
bisect <- function(f, lower, upper) {
  for (step in 1:60) {
    middle <- (lower + upper) / 2
    below <- f(middle) < 0
    lower[below] <- middle[below]
    upper[!below] <- middle[!below]
  }
  (lower + upper) / 2
}

#' @rdname boundary_distance
#' @export
boundary_distance.function <- function(classifier, x, norm = 2, reach = 10, directions = 64, ...) {
  norm <- check_norm(norm)
  reach <- check_number(reach, above = 0)
  directions <- check_count(directions)
  x <- as_points(x)
  label <- label_points(classifier, x)
  nearest <- rep(Inf, nrow(x))
  for (u in unit_directions(directions, norm)) {
    nearest <- pmin(nearest, distance_along(classifier, x, label, u, pmin(nearest, reach)))
  }
  nearest
}

# The first change of label along x + t u for t up to `reach`: searched at 64 radii, then
# bisected.
distance_along <- function(classifier, x, label, u, reach) {
  changed <- function(t) label_points(classifier, x + outer(t, u)) != label
  first <- rep(Inf, nrow(x))
  for (k in 64:1) first[changed(reach * k / 64)] <- k
  found <- is.finite(first)
  t <- rep(Inf, nrow(x))
  if (any(found)) {
    lower <- (reach * (first - 1) / 64)[found]
    x <- x[found, , drop = FALSE]
    label <- label[found]
    t[found] <- bisect(function(s) ifelse(changed(s), 1, -1), lower, (reach * first / 64)[found])
  }
  t
}

unit_directions <- function(count, norm) {
  angle <- 2 * pi * (seq_len(count) - 1) / count
  lapply(angle, function(a) c(cos(a), sin(a)) / (if (norm == 2) 1 else max(abs(c(cos(a), sin(a))))))
}

# Labels -1 and 1 of any classifier.
label_points <- function(classifier, x, call = parent.frame()) {
  if (!is.function(classifier)) return(stats::predict(classifier, x))
  label <- classifier(x)
  tryCatch(as_labels(label, nrow(x)), rlang_error = function(e) {
    abort(c("{.arg classifier} must return one label, -1 or 1, for each point.",
            "x" = "For {nrow(x)} point{?s} it returned {describe(label)}."), call = call)
  })
}
