test_that("score, label and probability agree", {
  f <- linear_classifier(c(2, -1), 0.5)
  x <- rbind(c(1, 1), c(-1, 1), c(0, 0.5))
  expect_equal(predict(f, x, "score"), c(1.5, -2.5, 0))
  expect_identical(predict(f, x), c(1, -1, -1))
  expect_equal(predict(f, data.frame(x2 = x[, 2], x1 = x[, 1]), "prob"), plogis(c(1.5, -2.5, 0)))
})

test_that("invalid weights are refused", {
  expect_error(linear_classifier(1:3), "two finite numbers")
  expect_error(linear_classifier(c(1, NA)), "two finite numbers")
  expect_error(linear_classifier(c(1, 0), Inf), "`b`")
  expect_output(print(linear_classifier(c(1, 2), -3)), "1 x1 \\+2 x2 -3")
})
