translate_message <- sense:::translate_message
shell_flags <- sense:::shell_flags

test_that("messages name arguments of R", {
  expect_equal(translate_message("fetch them and pass --data-dir DIR, or"), "fetch them and pass `data_dir = DIR`, or")
  expect_equal(translate_message("such as --eps 0.3"), "such as `eps = 0.3`")
  expect_equal(translate_message("lower --lr (now 1) or --eps (now 2)"), "lower `lr` (now 1) or `eps` (now 2)")
  expect_equal(translate_message("x: --overwrite it, or choose another --out"), "x: `overwrite = TRUE`, or choose another `out`")
  expect_equal(translate_message("with --cascade FGSM did not"), "with `cascade = TRUE` FGSM did not")
  expect_equal(translate_message("no diagnostics (--no-diagnostics)"), "no diagnostics (`diagnostics = FALSE`)")
  expect_equal(translate_message("resume it with --resume runs/a."), "resume it with `train_sense(control = sense_control(resume = \"runs/a\"))`.")
  expect_equal(translate_message("python -m sense.evaluate runs/x first"), "`evaluate_sense(\"runs/x\")` first")
  expect_equal(translate_message("on purpose: python -m sense.seal a/b, or seal_run() in R"), "on purpose: `seal_run(\"a/b\")`")
  expect_equal(translate_message("say: model = \"a:b\", or in the shell --model a:b"), "say: model = \"a:b\"")
  expect_equal(translate_message("a -- b, a--b and l-infinity stay"), "a -- b, a--b and l-infinity stay")
  expect_equal(translate_message(c("--steps", "none")), c("`steps`", "none"))
  expect_equal(
    translate_message("choose another --out, --seed 3 or --lr 1", training = TRUE),
    "choose another `out` of `sense_control()`, `seed = 3` of `sense_control()` or `lr = 1`"
  )
})

test_that("every option of Python is translated to an argument of R", {
  skip_if_no_sense()
  source <- sense:::python_source()
  fields <- function(module, class) {
    names(reticulate::import_from_path(module, source)[[class]]$`__dataclass_fields__`)
  }
  options <- c(fields("sense.config", "Config"), fields("sense.evaluation.settings", "Settings"))
  expect_gt(length(options), 50)
  for (name in c(options, "out", "data_dir")) {
    said <- translate_message(sprintf("give --%s, or --%s 3", gsub("_", "-", name), gsub("_", "-", name)))
    if (name %in% shell_flags) next
    expect_equal(said, sprintf("give `%s`, or `%s = 3`", name, name))
  }
  # The options that take no value in the shell are the logical ones of an evaluation.
  settings <- reticulate::import_from_path("sense.evaluation.settings", source)$Settings()
  flags <- Filter(function(name) is.logical(settings[[name]]), fields("sense.evaluation.settings", "Settings"))
  expect_setequal(shell_flags, c(flags, "overwrite"))
})

test_that("the progress lines of an evaluation name arguments of R", {
  skip_if_no_sense()
  run <- system.file("extdata", "mnist-demo", "sense", package = "sense")
  shown <- testthat::capture_messages(
    evaluate_sense(run, "fgsm", n = 20, diagnostics = FALSE, out = tempfile("evaluation-"))
  )
  expect_false(any(grepl("--", shown, fixed = TRUE)))
  expect_true(any(grepl("no diagnostics (`diagnostics = FALSE`)", shown, fixed = TRUE)))
  expect_true(any(grepl("`attacks = c(\"pgd\", \"autoattack\")`", shown, fixed = TRUE)))
})

test_that("paths with spaces, quotes and colons stay whole", {
  expect_equal(
    translate_message("resume with --resume '/tmp/a b'"), "resume with `train_sense(control = sense_control(resume = \"/tmp/a b\"))`"
  )
  expect_equal(
    translate_message("it with --resume C:/runs/a, or"), "it with `train_sense(control = sense_control(resume = \"C:/runs/a\"))`, or"
  )
  expect_equal(translate_message("x: python -m sense.seal 'a b', or seal_run() in R"), "x: `seal_run(\"a b\")`")
  expect_equal(translate_message("python -m sense.evaluate './a, b' first"), "`evaluate_sense(\"./a, b\")` first")
})

test_that("positions are counted from 1", {
  expect_equal(translate_message("x is 2 in row 0 (from 0): give 3"), "x is 2 in row 1: give 3")
})
