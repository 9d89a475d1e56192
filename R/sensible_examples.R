#' Sensible adversarial examples of a linear classifier
#'
#' Moves each point by K normalised-gradient steps towards the other class, inside the
#' `eps` ball around it, but no further than where the model still gives its label a
#' probability of `c`. For a linear model the gradient has one direction, so all K
#' steps are solved at once. Three stages, as in equation (12):
#'
#' * A, misclassified or p_y(x) <= c: the point stays.
#' * B, the limit is met on the way. `boundary = "project"` puts the point on p_y = c, as
#'   equation (13) and the authors' R script do; `"revert"` takes it back to the last
#'   step before the limit, as Algorithm 2 does. With K = 1 the latter is the point
#'   itself.
#' * C, the limit is not met: all K steps.
#'
#' `c = 1` moves nothing (natural training). With `c = 0` every rightly classified point
#' takes all its steps, which is the regular adversary except on misclassified points.
#' For c below 1/2 the paper has two rules for misclassified points: the algorithms
#' leave them (`misclassified = "stay"`), Definition 3 moves those with p_y > c
#' (`"move"`). From c = 1/2 on there are none.
#'
#' @param x Points: an n x 2 matrix, or a data frame with `x1` and `x2`.
#' @param y Labels, n values -1 or 1.
#' @param classifier A [linear_classifier()], read as a logistic model:
#'   p_y(x) = plogis(y (w.x + b)).
#' @param eps Radius of the ball, 0 or more, in the units of `x`.
#' @param c Least probability of the label, in \[0, 1\].
#' @param K Number of steps.
#' @param step_size Length of a step; `eps / K` by default.
#' @param boundary `"project"` or `"revert"`.
#' @param misclassified `"stay"` (Algorithms 1 and 2) or `"move"` (Definition 3).
#' @param norm 2 or `Inf`, the norm of ball and steps.
#' @return A data frame with n rows: `x1`, `x2`, the `stage` (A, B or C) and `moved`, the
#'   distance from `x` in `norm`.
#' @source Kim and Wang, Definition 3, equations (12) and (13), Algorithm 2.
#' @examples
#' f <- linear_classifier(c(2, 0))
#' x <- rbind(c(0.5, 0), c(2, 0), c(4, 0))
#' sensible_examples(x, y = c(1, 1, 1), f, eps = 1, c = 0.9)
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

# By how much each margin falls. The limit p_y = c is the margin `limit`; a full way
# costs full * slope; points with margins up to `still` do not move.
sensible_drop <- function(margin, slope, full, limit, still, step_size, boundary) {
  all_the_way <- full * slope
  drop <- pmin.int(pmax.int(margin - limit, 0), all_the_way)
  if (boundary == "revert" && step_size * slope > 0) {
    # Whole steps only, except that the last may have been cut short by the ball.
    one <- step_size * slope
    drop <- ifelse(drop < all_the_way, floor(drop / one) * one, drop)
  }
  if (still > limit) drop[margin <= still] <- 0
  drop
}

# The unit step that lowers w.x fastest is minus this one.
steepest_direction <- function(w, norm) {
  if (all(w == 0)) return(c(0, 0))
  if (norm == 2) w / sqrt(sum(w^2)) else sign(w)
}
