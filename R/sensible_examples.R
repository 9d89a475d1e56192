#' Sensible adversarial examples of a linear classifier
#'
#' Moves each point by K normalised gradient steps towards the other class, within the
#' ball of radius `eps` around it, while the model gives its label a probability of at least `c`.
#' For a linear model the gradient has one direction, so all K steps are computed at once. There are
#' three stages, as in equation (12):
#'
#' * A: the point is misclassified or p_y(x) <= c. It is not moved.
#' * B: the point reaches p_y = c. `boundary = "project"` puts it on p_y = c, like
#'   equation (13) and the authors' R script; `"revert"` returns it to the last
#'   step before that, like Algorithm 2. With K = 1 that is the point itself.
#' * C: the point takes all K steps and does not reach p_y = c.
#'
#' `c = 1` moves no point (natural training). With `c = 0` every correctly classified point
#' takes all its steps, as in regular adversarial training, which also moves misclassified points.
#' For c below 1/2 the paper has two rules for misclassified points: the algorithms do not move
#' them (`misclassified = "stay"`), Definition 3 moves those with p_y > c (`"move"`). For c of at
#' least 1/2 there are no such points.
#'
#' @param x Points: an n x 2 matrix, or a data frame with `x1` and `x2`.
#' @param y Labels, n values -1 or 1.
#' @param classifier A [linear_classifier()], read as a logistic model:
#'   p_y(x) = plogis(y (w.x + b)).
#' @param eps Radius of the ball, at least 0, in the units of `x`.
#' @param c Lowest probability of the label, in \[0, 1\].
#' @param K Number of steps.
#' @param step_size Length of a step.
#' @param boundary `"project"` or `"revert"`.
#' @param misclassified `"stay"` (Algorithms 1 and 2) or `"move"` (Definition 3).
#' @param norm Norm of the ball and of the steps, 2 or `Inf`.
#' @return A data frame with n rows: `x1`, `x2`, the `stage` (A, B or C) and the distance `moved` from
#'   `x` in `norm`.
#' @source Kim and Wang, Definition 3, equations (12) and (13), Algorithm 2.
#' @examples
#' f <- linear_classifier(c(2, 0))
#' x <- rbind(c(0.5, 0), c(2, 0), c(4, 0))
#' sensible_examples(x, y = c(1, 1, 1), f, eps = 1, c = 0.9)
#' @family functions of the theory
#' @export
sensible_examples <- function(x, y, classifier, eps, c, K = 1, step_size = eps / K,
                          boundary = c("project", "revert"),
                          misclassified = c("stay", "move"), norm = 2) {
  x <- as_points(x)
  y <- as_labels(y, nrow(x))
  check_class(classifier, "linear_classifier", "linear_classifier")
  eps <- check_number(eps, min = 0)
  c <- check_number(c, min = 0, max = 1)
  K <- check_count(K)
  step_size <- check_number(step_size, min = 0)
  boundary <- check_choice(boundary, c("project", "revert"))
  norm <- check_norm(norm)
  misclassified <- check_choice(misclassified, c("stay", "move"))
  limit <- stats::qlogis(c)
  still <- if (misclassified == "stay") max(0, limit) else limit
  margin <- y * linear_score(classifier, x)
  slope <- dual_norm(classifier$w, norm)
  full <- min(K * step_size, eps)
  drop <- sensible_drop(margin, slope, full, limit, still, step_size, boundary)
  moved <- if (slope > 0) drop / slope else numeric(nrow(x))
  u <- steepest_direction(classifier$w, norm)
  stage <- ifelse(margin <= still, "A", ifelse(margin - full * slope < limit, "B", "C"))
  data.frame(x1 = x[, 1] - y * moved * u[1], x2 = x[, 2] - y * moved * u[2],
             stage = factor(stage, levels = c("A", "B", "C")), moved = moved)
}

# By how much each margin decreases. p_y = c at the margin `limit`. All steps together lower a margin
# by full * slope. Points with margins of at most `still` do not move.
sensible_drop <- function(margin, slope, full, limit, still, step_size, boundary) {
  largest <- full * slope
  drop <- pmin.int(pmax.int(margin - limit, 0), largest)
  if (boundary == "revert" && step_size * slope > 0) {
    # Whole steps, except for the last, which the ball may shorten.
    one <- step_size * slope
    drop <- ifelse(drop < largest, floor(drop / one) * one, drop)
  }
  if (still > limit) drop[margin <= still] <- 0
  drop
}

# Minus the unit step that lowers w.x fastest.
steepest_direction <- function(w, norm) {
  if (all(w == 0)) return(c(0, 0))
  if (norm == 2) w / sqrt(sum(w^2)) else sign(w)
}
