test_that("the type follows from the labels of the three centres", {
  expect_type <- function(w, b, type) {
    expect_identical(as.character(boundary_type(linear_classifier(w, b))), type)
  }
  expect_type(c(1, 0), 0, "separates all")
  expect_type(c(2, 7), -24.5, "ignores bottom")
  expect_type(c(2, -7), -24.5, "ignores top")
  expect_type(c(1, 0), 5, "constant")
  expect_type(c(1, 0), -5, "constant")
  expect_type(c(-1, 0), 0, "other")
})

test_that("all eight sign patterns have the type of their labels", {
  set.seed(1)
  path <- cbind(rnorm(300, 0, 3), rnorm(300), rnorm(300))
  type <- as.character(boundary_type(path, m = 2))
  centre <- rbind(c(1, 2), c(1, -2), c(-1, 0))
  for (i in 1:300) {
    label <- predict(linear_classifier(path[i, 2:3], path[i, 1]), centre)
    correct <- label == c(1, 1, -1)
    expected <- if (all(correct)) "separates all" else if (length(unique(label)) == 1) "constant" else
      if (identical(correct, c(TRUE, FALSE, TRUE))) "ignores bottom" else
      if (identical(correct, c(FALSE, TRUE, TRUE))) "ignores top" else "other"
    expect_identical(type[i], expected)
  }
})

fit_with_path <- function(path) {
  fit <- fit_linear_at(three_clusters(20, seed = 1), "nt", iterations = 1)
  fit$path <- path
  fit
}

test_that("alternation and settling are determined in the window", {
  two <- rbind(c(0, 1, 0), c(-24.5, 2, 7))
  motion <- boundary_motion(fit_with_path(two[rep(1:2, 50), ]), 20)
  expect_identical(motion$changes, 20L)
  expect_true(motion$alternates && !motion$settles)
  expect_identical(motion$between, "separates all / ignores bottom")
  expect_equal(motion$turn, atan2(7, 2) * 180 / pi)
  motion <- boundary_motion(fit_with_path(rbind(two[rep(1:2, 20), ], two[rep(1, 40), ])), 30)
  expect_true(motion$settles && !motion$alternates)
  expect_identical(motion$turn, 0)
  expect_true(is.na(motion$between))
})

test_that("a boundary that flips without changing its type does not settle", {
  # One type, two directions.
  two <- rbind(c(0, -0.5, 0.3), c(0, -0.5, 2))
  expect_identical(length(unique(boundary_type(two))), 1L)
  motion <- boundary_motion(fit_with_path(two[rep(1:2, 50), ]), 20)
  expect_identical(motion$changes, 0L)
  expect_gt(motion$turn, 5)
  expect_false(motion$settles)
})

test_that("angles wrap around", {
  expect_equal(angle_range(c(179, -179)), 2)
  expect_equal(angle_range(c(-90, 0, 90)), 180)
  expect_error(boundary_type(1:3), "3 columns")
  expect_error(boundary_motion(1), "fit_linear_at")
})
