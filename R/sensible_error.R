# Definition 2 for points that the Bayes rule and the classifier both label correctly:
# is there a z within eps of x that the Bayes rule labels y, but the classifier does not?
sensible_error <- function(classifier, x, y, law, eps, norm) {
  if (is_bayes_rule_of(classifier, law)) return(logical(nrow(x)))
  if (!inherits(classifier, "linear_classifier")) {
    return(error_by_search(classifier, x, y, law, eps, norm))
  }
  if (all(classifier$w == 0)) return(logical(nrow(x)))
  wrong <- logical(nrow(x))
  near <- boundary_distance(classifier, x, norm) <= eps
  minus <- near & y < 0
  plus <- near & y > 0
  wrong[minus] <- distance_to_chord(classifier, x[minus, , drop = FALSE], law, norm) <= eps
  wrong[plus] <- cap_leaves_minus(classifier, x[plus, , drop = FALSE], law, eps, norm)
  wrong
}

is_bayes_rule_of <- function(classifier, law) {
  inherits(classifier, "bayes_rule") && identical(unclass(classifier), unclass(law))
}

# y = -1. The Bayes region of -1 is convex and contains x, so the nearest z is on the
# classifier's line, on its chord inside that region.
distance_to_chord <- function(f, x, law, norm) {
  if (nrow(x) == 0) return(numeric())
  unit <- f$w / sqrt(sum(f$w^2))
  along <- c(-unit[2], unit[1])
  origin <- -f$b / sqrt(sum(f$w^2)) * unit
  chord <- chord_ends(origin, along, law)
  if (is.null(chord)) return(rep(Inf, nrow(x)))
  gap <- sweep(x, 2, origin)
  clamp <- function(s) pmin(pmax(s, chord[1]), chord[2])
  if (norm == 2) {
    s <- clamp(gap %*% along)
    return(sqrt((gap[, 1] - s * along[1])^2 + (gap[, 2] - s * along[2])^2))
  }
  # In the largest-coordinate norm the distance is piecewise linear and convex along
  # the line: its minimum is at a kink or at an end.
  kinks <- cbind(gap[, 1] / along[1], gap[, 2] / along[2],
                 (gap[, 1] - gap[, 2]) / (along[1] - along[2]),
                 (gap[, 1] + gap[, 2]) / (along[1] + along[2]))
  kinks[!is.finite(kinks)] <- chord[1]
  best <- rep(Inf, nrow(x))
  for (k in 1:4) {
    s <- clamp(kinks[, k])
    best <- pmin(best, pmax(abs(gap[, 1] - s * along[1]), abs(gap[, 2] - s * along[2])))
  }
  best
}

# The two values of s at which the line origin + s * along enters and leaves the convex region
# x1 <= h(x2), a large number for infinity; NULL if the line misses the region.
chord_ends <- function(origin, along, law) {
  depth <- function(s) boundary_height(origin[2] + s * along[2], law) - (origin[1] + s * along[1])
  far <- 1e4 * (1 + sum(abs(origin)) + law$m)
  deepest <- stats::optimize(depth, c(-far, far), maximum = TRUE, tol = 1e-9)$maximum
  ends <- c(-far, far)
  candidates <- c(deepest, ends)
  inside <- candidates[which.max(depth(candidates))]
  if (depth(inside) < 0) return(NULL)
  vapply(1:2, function(i) {
    if (depth(ends[i]) >= 0) return(ends[i])
    # Bisection between a point inside and the far end outside.
    a <- inside
    b <- ends[i]
    for (step in 1:100) {
      middle <- (a + b) / 2
      if (depth(middle) >= 0) a <- middle else b <- middle
    }
    a
  }, 0)
}

# y = +1. The part of the ball beyond the line is convex. It is in the convex Bayes
# region of -1 exactly if its extreme points are: the points of the ball's rim beyond the
# line (and, for squares, where the rim crosses the line).
cap_leaves_minus <- function(f, x, law, eps, norm) {
  if (nrow(x) == 0) return(logical())
  if (norm == 2) disc_leaves_minus(f, x, law, eps) else square_leaves_minus(f, x, law, eps)
}

disc_leaves_minus <- function(f, x, law, eps) {
  length_w <- sqrt(sum(f$w^2))
  half <- acos(pmin(1, linear_score(f, x) / (length_w * eps)))
  towards <- atan2(-f$w[2], -f$w[1])
  excess <- function(a) {
    x[, 1] + eps * cos(towards + a) - boundary_height(x[, 2] + eps * sin(towards + a), law)
  }
  fractions <- seq(-1, 1, length.out = 41)
  values <- vapply(fractions, function(k) excess(k * half), numeric(nrow(x)))
  dim(values) <- c(nrow(x), length(fractions))
  best <- max.col(values, "first")
  lower <- fractions[pmax(best - 1, 1)] * half
  upper <- fractions[pmin(best + 1, 41)] * half
  # Golden-section steps around the best of the 41 angles.
  ratio <- (sqrt(5) - 1) / 2
  for (step in 1:25) {
    a <- upper - ratio * (upper - lower)
    b <- lower + ratio * (upper - lower)
    left <- excess(a) > excess(b)
    upper[left] <- b[left]
    lower[!left] <- a[!left]
  }
  pmax(values[cbind(seq_len(nrow(x)), best)], excess((lower + upper) / 2)) > 0
}

square_leaves_minus <- function(f, x, law, eps) {
  leaves <- logical(nrow(x))
  test <- function(z1, z2, used) {
    out <- used & is.finite(z1) & is.finite(z2)
    out[out] <- z1[out] > boundary_height(z2[out], law)
    out
  }
  inside <- function(d) abs(d) <= eps
  for (side in c(-eps, eps)) {
    for (other in c(-eps, eps)) {
      z <- cbind(x[, 1] + side, x[, 2] + other)
      leaves <- leaves | test(z[, 1], z[, 2], linear_score(f, z) <= 0)
    }
    z1 <- x[, 1] + side
    z2 <- -(f$b + f$w[1] * z1) / f$w[2]
    leaves <- leaves | test(z1, z2, inside(z2 - x[, 2]))
    z2 <- x[, 2] + side
    z1 <- -(f$b + f$w[2] * z2) / f$w[1]
    leaves <- leaves | test(z1, z2, inside(z1 - x[, 1]))
  }
  leaves
}

# Any other classifier: 64 rays and 16 radii of the ball. Errors between them are missed,
# so the count is a lower bound. Without a law every z of the ball is allowed.
error_by_search <- function(classifier, x, y, law, eps, norm) {
  wrong <- logical(nrow(x))
  for (u in unit_directions(64, norm)) {
    for (radius in eps * (1:16) / 16) {
      z <- x + matrix(radius * u, nrow(x), 2, byrow = TRUE)
      allowed <- if (is.null(law)) TRUE else predict.bayes_rule(law, z) == y
      wrong <- wrong | (allowed & label_points(classifier, z) != y)
    }
  }
  wrong
}
