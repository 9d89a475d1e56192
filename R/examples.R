#' Example 1: two adjacent uniform classes
#'
#' X is uniform on the left half of the unit square for class 0, and on the right half for class 1.
#' Class 1 has probability `p` > 1/2. The robust classifier moves the boundary from 1/2 to
#' 1/2 - eps, which costs natural accuracy.
#'
#' @param p Probability of class 1, in (1/2, 1).
#' @param eps Radius of the ball, in (0, 1/4). The boundaries are vertical, so all lp norms
#'   give the same risks.
#' @return `example1_risks()`: a data frame with a row for each `classifier` (`"bayes"`,
#'   `"robust"`) and `kind` of risk, with the closed form `risk`.
#'   `simulate_example1()`: the same with `estimate`, `lower` and `upper`.
#' @source Kim and Wang, Example 1 and appendix B.1.
#' @examples
#' example1_risks(p = 0.7, eps = 0.1)
#' simulate_example1(p = 0.7, eps = 0.1, n = 2000, seed = 1)
#' @family functions of the theory
#' @export
example1_risks <- function(p, eps) {
  check_example(p, eps)
  data.frame(classifier = c("bayes", "bayes", "robust", "robust"),
             kind = c("standard", "robust", "standard", "robust"),
             risk = c(0, 2 * eps, 2 * (1 - p) * eps, 4 * (1 - p) * eps))
}

#' @describeIn example1_risks The same risks by simulation, with Wilson intervals.
#' @inheritParams simulate_risk
#' @export
simulate_example1 <- function(p, eps, n = 1e5, level = 0.95, seed = NULL) {
  check_example(p, eps)
  n <- check_count(n)
  check_level(level)
  seed <- check_count(seed, min = 0, allow_null = TRUE)
  points <- with_seed(seed, example_points(n, p))
  out <- example1_risks(p, eps)
  boundary <- c(bayes = 0.5, robust = 0.5 - eps)[out$classifier]
  radius <- ifelse(out$kind == "robust", eps, 0)
  # The adversary moves points of class 0 to the right, points of class 1 to the left.
  errors <- mapply(function(b, r) {
    sum(ifelse(points$y == 1, points$x1 - r <= b, points$x1 + r > b))
  }, boundary, radius)
  cbind(out, interval_of(unname(errors), n, level))
}

check_example <- function(p, eps, call = parent.frame()) {
  check_number(p, above = 0.5, below = 1, call = call)
  check_number(eps, above = 0, below = 0.25, call = call)
}

# The law of Examples 1 and 2 on the whole square.
example_points <- function(n, p) {
  y <- as.integer(stats::runif(n) < p)
  data.frame(x1 = stats::runif(n) / 2 + y / 2, x2 = stats::runif(n), y = y)
}

#' Example 2: classifiers outside the support of the data
#'
#' The distribution of Example 1, with data in nine squares of side 1/6 only. Three classifiers are
#' optimal on the squares, for the natural, the robust and the sensible risk, and have the largest
#' possible risk elsewhere (figure 2).
#'
#' @param x Points of the unit square: an n x 2 matrix, or a data frame with `x1`, `x2`.
#' @param kind Risk for which the classifier is optimal: `"natural"` (figure 2b), `"robust"` (2c) or
#'   `"sensible"` (2d).
#' @param eps Radius of the ball, above 0 and at most 1/24 for `"robust"`, at most 1/12 otherwise.
#' @param norm `Inf`, for which the paper's formulas hold, or 2.
#' @return `example2_classifier()`: labels 0 and 1. `example2_risk()`: a number.
#'   `simulate_example2()`: a data frame with `estimate`, `lower` and `upper`.
#' @source Kim and Wang, Example 2 and appendix B.2.
#' @examples
#' example2_classifier(rbind(c(0.2, 0.2), c(0.01, 0.01)), "natural")
#' example2_risk("sensible", eps = 0.03, p = 0.7)
#' @family functions of the theory
#' @export
example2_classifier <- function(x, kind = c("natural", "robust", "sensible"), eps = 1 / 24,
                             norm = Inf) {
  kind <- check_choice(kind, c("natural", "robust", "sensible"))
  x <- as_points(x)
  check_radius(eps, kind)
  norm <- check_norm(norm)
  known <- distance_to_squares(x, norm) <= (if (kind == "natural") 0 else eps)
  boundary <- if (kind == "robust") 0.5 - eps else 0.5
  truth <- as.integer(x[, 1] > 0.5)
  ifelse(known, as.integer(x[, 1] > boundary), 1L - truth)
}

check_radius <- function(eps, kind, call = parent.frame()) {
  check_number(eps, above = 0, max = if (kind == "robust") 1 / 24 else 1 / 12, call = call)
}

# Distance to the nearest of the nine squares, 0 inside. The squares are centred at 1/6, 1/2 and 5/6
# in each coordinate.
distance_to_squares <- function(x, norm) {
  to_side <- function(u) pmax(0, pmin(abs(u - 1 / 6), abs(u - 1 / 2), abs(u - 5 / 6)) - 1 / 12)
  d1 <- to_side(x[, 1])
  d2 <- to_side(x[, 2])
  if (norm == 2) sqrt(d1^2 + d2^2) else pmax(d1, d2)
}

#' @describeIn example2_classifier The standard risk on the unit square in closed form.
#'   With squares of side a = 1/6 it is 1 - 9 a^2 = 3/4 for `"natural"`;
#'   3/4 - 9 (4 eps^2 + 2 eps / 3) for `"sensible"`, with pi eps^2 in place of 4 eps^2 for norm 2;
#'   and that plus 6 (1 - p) eps (a + 2 eps), the cost of the shifted boundary, for `"robust"`.
#' @param p Probability of class 1, in (1/2, 1).
#' @export
example2_risk <- function(kind = c("natural", "robust", "sensible"), eps = 1 / 24, p = 0.7,
                       norm = Inf) {
  kind <- check_choice(kind, c("natural", "robust", "sensible"))
  check_radius(eps, kind)
  p <- check_number(p, above = 0.5, below = 1)
  norm <- check_norm(norm)
  if (kind == "natural") return(3 / 4)
  corner <- if (norm == 2) pi else 4
  outside <- 3 / 4 - 9 * (corner * eps^2 + 2 / 3 * eps)
  if (kind == "sensible") outside else outside + shifted_strip_risk(eps, p, norm)
}

# The strip (1/2 - eps, 1/2) around the three middle squares, where the density of
# class 0 is 2 (1 - p). Its height is a + 2 eps: the squares reach past the strip on
# both sides, so the rounded corners of norm 2 do not touch it.
shifted_strip_risk <- function(eps, p, norm) 6 * (1 - p) * eps * (1 / 6 + 2 * eps)

#' @describeIn example2_classifier The standard risk by simulation, with its Wilson interval.
#' @inheritParams simulate_risk
#' @param support `"square"`, the whole unit square, or `"squares"`, the nine squares with data.
#' @export
simulate_example2 <- function(kind = c("natural", "robust", "sensible"), eps = 1 / 24,
                                p = 0.7, norm = Inf, n = 1e5, level = 0.95, seed = NULL,
                                support = c("square", "squares")) {
  support <- check_choice(support, c("square", "squares"))
  kind <- check_choice(kind, c("natural", "robust", "sensible"))
  check_radius(eps, kind)
  norm <- check_norm(norm)
  n <- check_count(n)
  check_level(level)
  seed <- check_count(seed, min = 0, allow_null = TRUE)
  p <- check_number(p, above = 0.5, below = 1)
  points <- with_seed(seed, example_points(n, p))
  if (support == "squares") points <- points[distance_to_squares(as_points(points), norm) == 0, ]
  wrong <- example2_classifier(points, kind, eps, norm) != points$y
  interval_of(sum(wrong), length(wrong), level)
}
