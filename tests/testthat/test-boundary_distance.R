test_that("distances to the Bayes boundary equal a dense search, in both norms", {
  set.seed(1)
  x <- cbind(runif(60, -6, 6), runif(60, -8, 8))
  x <- rbind(x, c(-1, 0), c(3, 0), c(0, 0.01))
  height <- seq(-25, 25, length.out = 200001)
  for (law in list(c(0.7, 3, 0.8), c(0.5, 2, 1.5), c(0.95, 7, 0.2))) {
    rule <- bayes_rule(law[1], law[2], law[3])
    edge <- bayes_boundary(rule, height)
    d1 <- apply(x, 1, function(q) sqrt(min((edge - q[1])^2 + (height - q[2])^2)))
    d2 <- apply(x, 1, function(q) min(pmax(abs(edge - q[1]), abs(height - q[2]))))
    expect_equal(boundary_distance(rule, x), d1, tolerance = 1e-5)
    # The search takes steps of 0.00025 * m / 2 along x1.
    expect_lt(max(abs(boundary_distance(rule, x, Inf) - d2)), 1e-3)
  }
})

test_that("distances to a line are attained and not beaten", {
  f <- linear_classifier(c(1, -2), 0.3)
  x <- rbind(c(2, 1), c(-1, 0.5))
  for (norm in c(2, Inf)) {
    d <- boundary_distance(f, x, norm)
    u <- if (norm == 2) f$w / sqrt(5) else sign(f$w)
    side <- predict(f, x)
    expect_equal(predict(f, x - side * outer(d, u), "score"), c(0, 0), tolerance = 1e-12)
  }
  expect_identical(boundary_distance(linear_classifier(c(0, 0), 1), x), c(Inf, Inf))
})

test_that("a function's distance is an upper bound close to the exact one", {
  rule <- bayes_rule(0.7, 3, 0.8)
  x <- as_points(three_clusters(50, 0.7, 3, 0.8, seed = 1))
  for (norm in c(2, Inf)) {
    exact <- boundary_distance(rule, x, norm)
    found <- boundary_distance(function(z) predict(rule, z), x, norm, reach = 4)
    expect_true(all(found >= exact - 1e-9))
    expect_true(all(found[is.finite(found)] <= exact[is.finite(found)] * 1.1 + 1e-9))
  }
  expect_error(boundary_distance(function(z) 0, x), "one label, -1 or 1")
  expect_error(boundary_distance("f", x), "linear classifier, a Bayes rule or a function")
  expect_error(boundary_distance(rule, x, 1), "2 or Inf")
})
