test_that("Example 1: closed forms and simulation agree over a grid", {
  for (p in c(0.55, 0.8)) for (eps in c(0.05, 0.2)) {
    found <- simulate_example1(p, eps, n = 20000, level = 0.9999, seed = 1)
    expect_true(all(found$lower <= found$risk & found$risk <= found$upper))
    r <- found$risk
    expect_equal(r[3] - r[1], 2 * (1 - p) * eps)
    expect_equal(r[2] - r[4], eps * (4 * p - 2))
  }
})

test_that("Example 1: where each classifier is robust, away from the Bayes boundary", {
  eps <- 0.1
  x <- with_seed(1, example_points(5000, 0.7))
  attacked <- function(boundary) ifelse(x$y == 1, x$x1 - eps <= boundary, x$x1 + eps > boundary)
  away <- abs(x$x1 - 0.5) > eps
  expect_false(any(attacked(0.5)[away]))
  # The robust classifier is wrong in the band (1/2 - 2 eps, 1/2 - eps) only.
  expect_identical(which(attacked(0.5 - eps) & away), which(x$x1 > 0.5 - 2 * eps & x$x1 < 0.5 - eps))
})

test_that("Example 1: no shift of the boundary is more robust than eps", {
  p <- 0.7
  eps <- 0.1
  x <- with_seed(1, example_points(20000, p))
  risk <- vapply(seq(-0.2, 0.2, by = 0.01), function(t) {
    mean(ifelse(x$y == 1, x$x1 - eps <= 0.5 - t, x$x1 + eps > 0.5 - t))
  }, 0)
  expect_equal(seq(-0.2, 0.2, by = 0.01)[which.min(risk)], eps, tolerance = 0.011)
})

test_that("Example 2: closed forms and simulation agree, in both norms", {
  for (norm in c(2, Inf)) for (eps in c(0.01, 1 / 24)) for (w in c("natural", "robust", "sensible")) {
    found <- simulate_example2(w, eps, 0.6, norm, n = 20000, level = 0.9999, seed = 2)
    exact <- example2_risk(w, eps, 0.6, norm)
    expect_true(found$lower <= exact && exact <= found$upper)
  }
  expect_equal(example2_risk("sensible", 1 / 12), 0)
})

test_that("Example 2: each classifier is optimal for its own risk on the squares", {
  seen <- function(w) simulate_example2(w, 1 / 24, 0.7, n = 20000, seed = 1, support = "squares")$estimate
  expect_identical(seen("natural"), 0)
  expect_identical(seen("sensible"), 0)
  expect_gt(seen("robust"), 0)
  # In the balls of the squares the sensible optimum is the Bayes rule.
  x <- with_seed(3, example_points(5000, 0.7))
  near <- distance_to_squares(as_points(x), Inf) <= 0.03
  expect_identical(example2_classifier(x, "sensible", 0.03)[near], x$y[near])
  expect_true(all(example2_classifier(x, "sensible", 0.03)[!near] != x$y[!near]))
})

test_that("invalid input is refused by the name of the argument", {
  expect_error(example1_risks(0.4, 0.1), "`p`")
  expect_error(example1_risks(0.6, 0.3), "`eps`")
  expect_error(example2_classifier(c(0.5, 0.5), "robust", 0.06), "`eps`")
  expect_error(example2_risk("best"), "natural.*robust.*sensible")
})
