command_text <- sense:::command_text

test_that("a call is kept as it was typed, with the name of the function", {
  expect_equal(command_text(quote(train_sense.default(c = 0.5, lr = c(0.1, 0.2))), "train_sense"), "train_sense(c = 0.5, lr = c(0.1, 0.2))")
  expect_equal(command_text(quote(f(x[, 1], y = -1, "a", NULL, TRUE)), "f"), "f(x[, 1], y = -1, \"a\", NULL, TRUE)")
  expect_equal(command_text(quote(f(Species ~ ., iris)), "f"), "f(Species ~ ., iris)")
})

test_that("values that a program put into the call are left out", {
  values <- list(array(1:8, c(2, 2, 2)), runif(100), iris, mean, factor("a"), list(1))
  for (value in values) expect_equal(command_text(as.call(list(train_sense, value, c = 0.5)), "train_sense"), "train_sense(..., c = 0.5)")
  expect_equal(command_text(as.call(list(quote(f), as.call(list(quote(g), iris)))), "f"), "f(g(...))")
  long <- as.call(c(quote(f), as.list(runif(5000))))
  expect_lt(nchar(command_text(long, "f")), 2100)
})

test_that("data are not written into the files of a run or an evaluation", {
  skip_if_no_sense()
  x <- as.matrix(mtcars[c("hp", "wt")])
  fit <- do.call(train_sense, list(
    as.data.frame(x), mtcars$am, epochs = 1, pretrain = 0, control = sense_control(quiet = TRUE, threads = 1)
  ))
  expect_equal(fit$provenance$command, "train_sense(..., ..., epochs = 1, pretrain = 0, control = ...)")
  evaluation <- do.call(evaluate_sense, list(
    fit, "fgsm", x = x, y = mtcars$am, diagnostics = FALSE, quiet = TRUE, threads = 1
  ))
  expect_equal(
    evaluation$provenance$command,
    "evaluate_sense(..., \"fgsm\", x = ..., y = ..., diagnostics = FALSE, quiet = TRUE, threads = 1)"
  )
})
