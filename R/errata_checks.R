# One check per erratum: the value of the printed statement, of the correction and of a
# reference found in another way, with the tolerance between the last two.

checked <- function(printed, correct, reference, tolerance) {
  list(printed = printed, correct = correct, reference = reference, tolerance = tolerance)
}

# Four standard errors of a proportion, and at least one count in n.
simulation_tolerance <- function(estimate, n) 4 * sqrt(estimate * (1 - estimate) / n) + 1 / n

# The arguments after the dots are not matched partially, so `p` is not taken for `printed`.
against_simulation <- function(classifier, kind, ..., printed, correct, n, seed) {
  found <- simulate_risk(classifier, ..., kind = kind, n = n, seed = seed)$estimate
  checked(printed, correct, found, simulation_tolerance(found, n))
}

check_pgd_gradient <- function(n, seed) {
  score <- function(z) 3 * (z[1] - 0.3)^2 + 2 * (z[2] + 0.05)^2
  gradient <- function(z) -c(6 * (z[1] - 0.3), 4 * (z[2] + 0.05))
  loss <- function(z) log1p(exp(-score(z)))
  x <- c(0.2, 0.2)
  eps <- 0.5
  attack <- function(at_start) {
    z <- x
    for (k in 1:40) {
      z <- z + 0.01 * sign(gradient(if (at_start) x else z))
      z <- pmin(pmax(z, x - eps), x + eps)
    }
    loss(z)
  }
  ball <- expand.grid(x[1] + seq(-eps, eps, 0.01), x[2] + seq(-eps, eps, 0.01))
  # The last iterate may miss the optimum by one step of 0.01.
  checked(attack(TRUE), attack(FALSE), max(apply(ball, 1, loss)), 1e-3)
}

# Binary fractions, so that p_y = c exactly at the examples.
check_strict_limit <- function(n, seed) {
  f <- linear_classifier(c(1, 0))
  x <- cbind(c(0.25, 0.5, 0.75), 0)
  example <- sensible_examples(x, c(1, 1, 1), f, eps = 1, c = 0.5)
  p <- predict.linear_classifier(f, example, "prob")
  checked(mean(p > 0.5), mean(p >= 0.5), 1, 0)
}

stage_b_points <- function() {
  list(x = cbind(seq(1.2, 1.6, by = 0.1), 0), y = rep(1, 5), f = linear_classifier(c(2, 0)),
       eps = 1, c = 0.9)
}

check_sign_of_constant <- function(n, seed) {
  b <- stage_b_points()
  example <- sensible_examples(b$x, b$y, b$f, b$eps, b$c)
  checked(-log(1 / b$c), log(1 / b$c), mean(-log(predict.linear_classifier(b$f, example, "prob"))), 1e-12)
}

check_empty_set <- function(n, seed) {
  f <- linear_classifier(c(2, 0))
  x <- cbind(stats::qlogis(0.9) / 2 - c(0.01, 0.1, 0.3), 0)
  angles <- seq(0, 2 * pi, length.out = 200)
  holds <- vapply(seq_len(nrow(x)), function(i) {
    ball <- cbind(x[i, 1] + 0.5 * cos(angles), x[i, 2] + 0.5 * sin(angles))
    any(predict.linear_classifier(f, ball, "prob") > 0.9)
  }, TRUE)
  stays <- sensible_examples(x, c(1, 1, 1), f, 0.5, 0.9)$stage == "A"
  # Correct: a point at distance d < eps from p_y = c has neighbours beyond it.
  checked(0, mean(stays & (stats::qlogis(0.9) / 2 - x[, 1] < 0.5)), mean(holds), 0)
}

# Algorithm 2 as printed: one point, K steps, reversion.
literal_algorithm_2 <- function(x, y, f, eps, c, K, step) {
  p <- function(z) stats::plogis(y * (sum(f$w * z) + f$b))
  if (p(x) <= 0.5) return(x)
  z <- x
  for (k in seq_len(K)) {
    previous <- z
    z <- z - step * y * f$w / sqrt(sum(f$w^2))
    way <- sqrt(sum((z - x)^2))
    if (way > eps) z <- x + (z - x) * eps / way
    if (-log(p(z)) > log(1 / c)) return(previous)
  }
  z
}

moved_by_algorithm <- function(x, y, f, eps, c, K = 1, step = eps / K) {
  vapply(seq_len(nrow(x)), function(i) {
    sqrt(sum((literal_algorithm_2(x[i, ], y[i], f, eps, c, K, step) - x[i, ])^2))
  }, 0)
}

check_c_zero <- function(n, seed) {
  data <- three_clusters(500, m = 2, sigma = 1, seed = seed)
  f <- vertical_line()
  x <- as_points(data)
  wrong <- predict.linear_classifier(f, x) != data$y
  # PGD moves every point. The correction is the sensible example at c = 0.
  step <- sensible_examples(x, data$y, f, eps = 0.5, c = 0)
  reference <- moved_by_algorithm(x[wrong, ], data$y[wrong], f, 0.5, 0) > 0
  checked(1, mean(step$moved[wrong] > 0), mean(reference), 0)
}

check_one_step <- function(n, seed) {
  b <- stage_b_points()
  moved <- function(boundary) mean(sensible_examples(b$x, b$y, b$f, b$eps, b$c, boundary = boundary)$moved)
  checked(moved("project"), moved("revert"),
          mean(moved_by_algorithm(b$x, b$y, b$f, b$eps, b$c)), 1e-12)
}

# On the line: Bayes rule 1(x > 1/2), data in (0.6, 0.7) only, eps = 0.7. The balls
# cover (0, 1). The other classifier is wrong everywhere left of 1/2.
check_theorem_2 <- function(n, seed) {
  bayes <- function(x) as.integer(x > 0.5)
  other <- function(x) rep(1L, length(x))
  data <- seq(0.6, 0.7, by = 0.005)
  space <- seq(0.001, 0.999, by = 0.001)
  sensible_risk <- function(f) mean(vapply(data, function(x) {
    reachable <- space[abs(space - x) <= 0.7 & bayes(space) == bayes(x)]
    any(f(reachable) != bayes(x))
  }, TRUE))
  covered <- all(vapply(space, function(z) any(abs(z - data) <= 0.7), TRUE))
  risks <- c(sensible_risk(bayes), sensible_risk(other))
  checked(1, 2, if (covered) sum(risks == min(risks)) else NA_real_, 0)
}

check_standard_risk <- function(n, seed) {
  against_simulation(vertical_line(), "standard", sigma = 0.5, printed = stats::pnorm(-1 / 0.5^2),
                     correct = stats::pnorm(-1 / 0.5), n = n, seed = seed)
}

check_robust_risk <- function(n, seed) {
  against_simulation(vertical_line(), "robust", sigma = 0.2, eps = 1.6,
                     printed = stats::pnorm(8 - 1 / 0.2^2), correct = stats::pnorm(8 - 1 / 0.2),
                     n = n, seed = seed)
}

# Clusters A and B are near one part of the boundary, C near two, so the risk is 3/2 alpha at
# the correct bound. 0.3 is the tolerance for the sampling error of such a small quantile.
check_gamma_bound <- function(n, seed) {
  z <- stats::qnorm(0.999)
  data <- three_clusters(n, p = 0.95, seed = seed)
  rule <- bayes_rule(p = 0.95)
  distance <- boundary_distance(rule, data) * ifelse(predict.bayes_rule(rule, data) == data$y, 1, -1)
  reach <- unname(stats::quantile(distance, 0.0015)) / 0.2
  checked(2 * z + sqrt(53) / 0.2, sqrt(53) / 0.4 - z, reach, 0.3)
}

check_figure_4_caption <- function(n, seed) {
  against_simulation(bayes_rule(p = 0.95), "robust", p = 0.95, eps = 1.6, printed = 0.998,
                     correct = 0, n = n, seed = seed)
}

check_best_linear <- function(n, seed) {
  best <- best_line(p = 0.95, sigma = 0.5)
  against_simulation(best, "standard", p = 0.95, sigma = 0.5, printed = stats::pnorm(-2),
                     correct = attr(best, "risk"), n = n, seed = seed)
}

check_bound_of_gain <- function(n, seed) {
  robust <- function(f) {
    simulate_risk(f, p = 0.95, eps = 1.6, kind = "robust", n = n, seed = seed)$estimate
  }
  gain <- robust(vertical_line()) - robust(two_cluster_line(0.95))
  # The bound is not attained: the vertical line has a robust accuracy of Phi(-3).
  checked(0.95 / 2, 1.95 / 2, gain, 0.005)
}

check_cost_of_robustness <- function(n, seed) {
  against_simulation(best_line(p = 0.55, eps = 1.6), "standard", p = 0.55, printed = 1 - 0.55,
                     correct = (1 - 0.55) / 2, n = n, seed = seed)
}

# Standard errors on the part of the square within eps of the nine squares.
check_strip_of_robust <- function(n, seed) {
  eps <- 1 / 24
  points <- with_seed(seed, example_points(n, 0.7))
  near <- distance_to_squares(as_points(points), Inf) <= eps
  found <- mean(near & example2_classifier(points, "robust", eps) != points$y)
  side <- 3 * (1 / 6 + 2 * eps) * 0.3
  checked(side * 2 * eps / 0.5, side * eps / 0.5, found, simulation_tolerance(found, n))
}

check_cancelled_gain <- function(n, seed) {
  risk <- function(kind) simulate_example2(kind, 1 / 24, 0.7, n = n, seed = seed)$estimate
  gain <- risk("natural") - risk("robust")
  checked(0, 3 / 4 - example2_risk("robust", 1 / 24, 0.7), gain, simulation_tolerance(gain, n))
}

check_norm_of_example <- function(n, seed) {
  found <- simulate_example2("sensible", 1 / 24, 0.7, norm = 2, n = n, seed = seed)$estimate
  checked(example2_risk("sensible", 1 / 24, 0.7, Inf), example2_risk("sensible", 1 / 24, 0.7, 2), found,
          simulation_tolerance(found, n))
}
