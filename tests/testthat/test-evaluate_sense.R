quick <- function(fit, ..., n = 40) {
  evaluate_sense(fit, n = n, steps = 2, restarts = 1, ..., threads = 1, quiet = TRUE)
}

test_that("R and the shell write the same files", {
  skip_if_no_sense()
  fit <- short_fit()
  ours <- quick(fit, c("fgsm", "pgd"), curve = c(0, 0.1), convergence = 4, out = tempfile("r-"))
  shell <- tempfile("shell-")
  system2(
    reticulate::py_config()$python,
    c(
      "-m", "sense.evaluate", fit$folder, "--attacks", "fgsm", "pgd", "--n", "40", "--steps", "2",
      "--restarts", "1", "--curve", "0", "0.1", "--convergence", "4", "--threads", "1", "--out", shell
    ),
    stdout = TRUE, stderr = TRUE,
    env = paste0("PYTHONPATH=", shQuote(sense:::python_source()))
  )
  theirs <- read_sense_evaluation(shell)
  same <- c("data", "options", "outcomes", "accuracy", "curve", "convergence", "convergence_accuracy")
  for (part in same) expect_equal(ours[[part]], theirs[[part]])
  expect_equal(ours$diagnostics$verdict, theirs$diagnostics$verdict)
  expect_equal(ours$target$weights_sha256, theirs$target$weights_sha256)
  expect_match(ours$provenance$command, "evaluate_sense\\(fit")
  expect_equal(ours$accuracy$label, c(
    "natural", "FGSM", "PGD-2 x 1", "PGD-2 x 1, radii to 0.1", "worst attack per image"
  ))
})

test_that("the predictions are those of predict()", {
  skip_if_no_sense()
  fit <- short_fit()
  natural <- subset(quick(fit, "fgsm", diagnostics = FALSE)$outcomes, attack == "natural")
  expect_equal(natural$prediction, as.integer(as.character(predict(fit, sample_images(40)$x))))
  expect_equal(natural$label, as.integer(as.character(sample_images(40)$y)))
})

test_that("results are stored in the fit's folder, can be extended and compared", {
  skip_if_no_sense()
  first <- train_short(method = "nt")
  second <- train_short(method = "r-at", steps = 1)
  quick(first, "fgsm", diagnostics = FALSE)
  expect_true(file.exists(file.path(first$folder, "evaluation.json")))
  added <- quick(first, c("fgsm", "pgd"), diagnostics = FALSE)
  expect_equal(added$accuracy$attack, c("natural", "fgsm", "pgd", "worst"))
  expect_error(
    quick(first, "pgd", seed = 1, diagnostics = FALSE, out = first$folder),
    "other options: seed \\(0, not 1\\)"
  )
  expect_error(compare_sense(first, second), "was not evaluated")
  quick(second, c("fgsm", "pgd"), diagnostics = FALSE)
  comparison <- compare_sense(first, second)
  theirs <- sense:::call_python("compare", list(folders = list(a = first$folder, b = second$folder)))
  column <- function(name) unlist(lapply(theirs$pairs, `[[`, name))
  for (name in c("attack", "n", "both", "only_first", "only_second", "neither", "p", "p_holm")) {
    expect_equal(comparison$pairs[[name]], column(name))
  }
})

test_that("a second evaluation in another ball is stored beside the first", {
  skip_if_no_sense()
  fit <- train_short(method = "nt")
  first <- quick(fit, "fgsm", diagnostics = FALSE)
  second <- quick(fit, "fgsm", eps = 0.2, diagnostics = FALSE)
  expect_equal(c(first$options$eps, second$options$eps), c(0.3, 0.2))
  expect_equal(basename(second$folder), "evaluation-2")
  expect_equal(read_sense_evaluation(second$folder)$accuracy, second$accuracy)
  expect_equal(read_sense_evaluation(fit$folder)$accuracy, first$accuracy)
  expect_equal(quick(fit, "fgsm", eps = 0.2, diagnostics = FALSE)$folder, second$folder)
})

test_that("the worst case includes the curve and the steps of PGD, as in Python", {
  skip_if_no_sense()
  found <- quick(short_fit(), "pgd", curve = c(0.1, 0.3, 0.35), convergence = 10, diagnostics = FALSE, out = tempfile())
  stored <- jsonlite::read_json(file.path(found$folder, "evaluation.json"))$accuracy
  expect_equal(found$accuracy$attack, c("natural", "pgd", "curve", "worst"))
  expect_equal(found$accuracy$k, vapply(found$accuracy$attack, function(name) stored[[name]]$k, 1L, USE.NAMES = FALSE))
  correct <- sense:::correct_matrix(found$outcomes)
  expect_equal(colnames(correct), c("natural", "pgd", "curve", "convergence"))
  expect_equal(found$accuracy$k[4], sum(apply(correct, 1, all)))
})

test_that("a fit whose folder was removed can be evaluated", {
  skip_if_no_sense()
  fit <- short_fit()
  here <- quick(fit, "pgd", diagnostics = FALSE, out = tempfile())
  fit$folder <- NULL
  expect_equal(quick(fit, "pgd", diagnostics = FALSE)$outcomes, here$outcomes)
  fit$folder <- tempfile() # of another network by now
  dir.create(fit$folder)
  writeBin(as.raw(1:10), file.path(fit$folder, "model.safetensors"))
  expect_null(sense:::own_folder(fit))
})

test_that("the user's own images are evaluated, in the order of the fit's classes", {
  skip_if_no_sense()
  digits <- sample_images(30)
  fit <- short_fit()
  named <- quick(fit, "fgsm", x = digits$x, y = digits$y, n = 30, diagnostics = FALSE, out = tempfile())
  sample <- quick(fit, "fgsm", diagnostics = FALSE, out = tempfile())
  first <- subset(sample$outcomes, image < 30)
  expect_equal(named$outcomes$prediction, first$prediction)
  expect_equal(named$data$name, "arrays")
  expect_equal(named$data$n, 30)
  expect_error(compare_sense(named, sample), "same images")
  expect_error(quick(fit, x = digits$x[, 1:20, ], y = digits$y), "images must be n x 28 x 28")
  expect_error(quick(fit, x = digits$x, y = rep("x", 30)), "30 missing or unknown classes")
  expect_error(quick(fit, x = digits$x), "Images need their classes")
})

test_that("a transfer attack takes a fit as its source", {
  skip_if_no_sense()
  evaluation <- quick(short_fit(), "transfer", source = short_fit(), diagnostics = FALSE, out = tempfile())
  direct <- quick(short_fit(), "pgd", diagnostics = FALSE, out = tempfile())
  expect_equal(evaluation$accuracy$k, direct$accuracy$k)
})

test_that("an interrupted evaluation says how to resume it", {
  fit <- seal_run(structure(
    list(config = list(dataset = "mnist-sample"), weights = raw(1), description = "{}"),
    class = "sense_fit"
  ))
  cache <- sense:::bridge_cache
  before <- cache$module
  on.exit(cache$module <- before)
  passed <- NULL
  cache$module <- list(call = function(task, arguments) {
    passed <<- arguments
    list(value = list(stopped = TRUE, folder = passed$out))
  })
  expect_error(
    evaluate_sense(fit, c("fgsm", "pgd"), norm = Inf, curve = 0.1, out = "some-folder", threads = 2),
    "repeat the same call with `out = \"some-folder\"`", class = "sense_stopped"
  )
  # Only what was set is passed on, several as a list.
  expect_equal(passed$options, list(attacks = list("fgsm", "pgd"), norm = Inf, curve = 0.1))
  expect_identical(passed$threads, 2L)
  expect_false("device" %in% names(passed))
})

test_that("progress is shown by line, unless quiet", {
  skip_if_no_sense()
  shown <- capture.output(
    invisible(evaluate_sense(
      short_fit(), "fgsm", n = 10, diagnostics = FALSE, threads = 1, out = tempfile()
    )),
    type = "message"
  )
  expect_match(shown, "^FGSM", all = FALSE)
  expect_silent(evaluate_sense(
    short_fit(), "fgsm", n = 10, diagnostics = FALSE, threads = 1, out = tempfile(), quiet = TRUE
  ))
})

test_that("invalid options are refused by Python, invalid calls without Python", {
  expect_error(evaluate_sense(1), "must be a result of `train_sense\\(\\)`")
  expect_error(evaluate_sense(tempdir()), "not the folder of a finished run")
  skip_if_no_sense()
  expect_error(quick(short_fit(), "magic"), "attacks must be one of natural, fgsm")
  expect_error(quick(short_fit(), epss = 1), "unknown option epss")
  expect_error(evaluate_sense(short_fit(), "fgsm", n = 1e6, out = tempfile()), "n must be from 1 to 2000")
  arrays <- short_fit()
  arrays$config$dataset <- "arrays"
  expect_error(evaluate_sense(arrays), "give test images and classes as `x` and `y`")
})

test_that("classes without images are refused", {
  run <- system.file("extdata", "mnist-demo", "sense", package = "sense")
  expect_error(evaluate_sense(run, "fgsm", y = 0:9), "Give `x` too")
  expect_error(adversarial_examples(run, y = 0:9), "Give `x` too")
  expect_error(calibration(run, y = 0:9), "Give `x` too")
})
