# The text that users read. A change of it is accepted by testthat::snapshot_accept("messages").
run <- system.file("extdata", "mnist-demo", "sense", package = "sense")
fit <- read_sense_fit(run)
evaluation <- read_sense_evaluation(run)

test_that("objects print", {
  expect_snapshot({
    sense_control(threads = 2, seed = 7)
    fit
    evaluation
    confusion(evaluation, "pgd")
    calibration(cbind(cat = rep(0.9, 100), dog = 0.1), rep(c("cat", "dog"), c(70, 30)))
    compare_sense(file.path(dirname(run), "r-at"), run)
    accuracies(run)
    fit_linear_at(three_clusters(100, seed = 1), iterations = 2)
  })
})

test_that("errors say what was wrong, what was received and what to do", {
  expect_snapshot(error = TRUE, {
    wilson_interval(11, 10)
    wilson_interval("9", 10)
    wilson_interval(9, 10, level = 95)
    train_sense(control = list())
    sense_control(threads = 0)
    sense_control(out = "a", resume = "b")
    read_sense_fit("nowhere")
    read_sense_fit("https://example.org/run")
    predict(fit)
    predict(fit, array(0, c(1, 28, 28)), type = "score")
    coef(fit)
    confusion(evaluation, "fgsm")
    calibration(evaluation)
    compare_sense(run)
    update(fit, control = sense_control(resume = "x"))
    evaluate_sense(fit, "pgd", 0.1, 10, 5)
    sense_mlp(iris[1:4], iris$Species, hidden_units = 0.5)
    three_clusters(10, p = 2)
    fit_linear_at(iris)
  })
})

test_that("progress is shown in the words of R, and not in knitr", {
  lines <- sense:::progress_lines(FALSE, training = TRUE)
  expect_snapshot({
    lines("note: --warmup has no effect with method nt")
    lines("epoch   2/13  train     loss 0.5000  natural  50.0 %  robust  25.0 % (n = 200 validation images)  1.2 s, about 13 s left")
  })
  expect_message(lines("epoch   1/1"), class = "sense_progress")
  expect_null(sense:::progress_lines(TRUE))
  withr::with_options(list(knitr.in.progress = TRUE), expect_null(sense:::progress_lines(FALSE)))
})

test_that("in a terminal a handler sees each line of progress and can silence it", {
  expect_false(sense:::is_muffled("a"))
  seen <- NULL
  muffled <- withCallingHandlers(sense:::is_muffled("epoch"), sense_progress = function(m) {
    seen <<- conditionMessage(m)
    invokeRestart("muffleMessage")
  })
  expect_true(muffled)
  expect_equal(seen, "epoch\n")
  expect_true(suppressMessages(sense:::is_muffled("b")))
})

test_that("handlers may leave a training by its progress", {
  skip_if_no_sense()
  train <- function() train_sense(model = "capacity-1", train_size = 100, epochs = 2, control = sense_control(threads = 1))
  expect_equal(tryCatch(train(), sense_progress = function(m) "left"), "left")
  failing <- function() withCallingHandlers(train(), sense_progress = function(m) stop("from the handler"))
  expect_equal(tryCatch(failing(), error = conditionMessage), "from the handler")
})
