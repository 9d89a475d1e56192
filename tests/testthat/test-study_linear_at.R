grid <- data.frame(method = c("r-at", "sense"), setting = "large-step", p = 0.55, gamma = 8, c = 0.9)

test_that("each row of the study equals its fit", {
  runs <- study_linear_at(grid, seeds = 2:3, n = 300)
  expect_identical(runs$seed, rep(2:3, each = 2))
  fit <- fit_linear_at(three_clusters(300, seed = 3), "r-at", setting = "large-step")
  row <- runs[runs$seed == 3 & runs$method == "r-at", ]
  expect_identical(row$changes, boundary_motion(fit)$changes)
  expect_equal(row$robust_risk, linear_risk(fit, eps = 1.6))
  expect_identical(row$learning_rate, 1)
})

test_that("the summary counts and averages", {
  runs <- study_linear_at(grid, seeds = 1:4, n = 300)
  s <- summarise_study(runs)
  rat <- runs[runs$method == "r-at", ]
  expect_equal(s$alternates[1], mean(rat$alternates))
  expect_equal(s$robust_risk[1], mean(rat$robust_risk))
  half <- qnorm(0.975) * sd(rat$robust_risk) / 2
  expect_equal(s$robust_risk_upper[1], min(1, mean(rat$robust_risk) + half))
  expect_equal(unlist(s[1, c("alternates_lower", "alternates_upper")], use.names = FALSE),
               unlist(wilson_interval(sum(rat$alternates), 4)[c("lower", "upper")], use.names = FALSE))
})

test_that("with large steps R-AT alternates and SENSE-AT settles", {
  s <- summarise_study(study_linear_at(grid, seeds = 1:5, n = 1000))
  expect_identical(s$alternates, c(1, 0))
  expect_identical(s$settles, c(0, 1))
})

test_that("the stored study has provenance and is reproducible in part", {
  study <- stored_study()
  provenance <- attr(study, "provenance")
  expect_gte(provenance$seeds, 100)
  expect_true(all(c("command", "commit", "seconds", "n") %in% names(provenance)))
  # One cell of it, on its first seeds: the same result for each.
  cell <- study[study$method == "r-at" & study$setting == "large-step" & study$p == 0.55 &
                  study$gamma == 8 & study$learning_rate == 1, ]
  again <- study_linear_at(cell[1, c("method", "setting", "p", "gamma", "c")], seeds = 1:3)
  expect_identical(as.numeric(cell$alternates), 1)
  expect_identical(again$alternates, rep(TRUE, 3))
})

test_that("invalid input is refused by the name of the argument", {
  expect_error(study_linear_at(data.frame(a = 1)), "method")
  expect_error(summarise_study(1), "study_linear_at")
})

test_that("c may be missing for methods that do not use it", {
  grid <- data.frame(method = c("nt", "sense"), setting = "large-step", p = 0.55, gamma = 8, c = c(NA, 0.9))
  runs <- study_linear_at(grid, seeds = 1, n = 100)
  expect_equal(runs$c, c(NA, 0.9))
  expect_equal(summarise_study(runs)$seeds, c(1, 1))
  expect_error(study_linear_at(transform(grid, c = NA)), "`grid\\$c` must be")
  expect_error(study_linear_at(transform(grid, p = 2)), "`grid\\$p` must be")
  expect_error(study_linear_at(grid[0, ]), "at least one row")
})
