test_that("a file is written atomically, and links are not followed", {
  folder <- tempfile()
  dir.create(folder)
  path <- file.path(folder, "x.txt")
  victim <- tempfile()
  writeLines("mine", victim)
  file.symlink(victim, path)
  file.symlink(victim, file.path(folder, ".x.txt.part"))
  sense:::write_atomically(path, "new")
  expect_equal(readBin(path, "raw", 10), charToRaw("new"))
  expect_equal(readLines(victim), "mine")
  expect_setequal(list.files(folder, all.files = TRUE, no.. = TRUE), c("x.txt", ".x.txt.part"))
  expect_error(sense:::write_atomically(file.path(folder, "none", "x"), "new"), "could not be written")
  # A file with the temporary name is not overwritten.
  expect_error(suppressWarnings(file(victim, "wxb")), "cannot open")
})

test_that("decompression stops at the limit", {
  file <- tempfile(fileext = ".gz")
  out <- gzfile(file, "wb")
  writeBin(raw(3e6), out)
  close(out)
  bytes <- readBin(file, "raw", 1e6)
  expect_equal(length(sense:::gunzip(bytes, 3e6, "x.gz")), 3e6)
  expect_error(sense:::gunzip(bytes, 1e6, "x.gz"), "x.gz.*longer than 1000000 bytes")
})

test_that("JSON that is nested deeply or not an object is refused with the name of the file", {
  read <- function(text) sense:::parse_json_text(text, "x.json")
  expect_equal(read("{\"a\": \"[[[[\\\" {\"}"), list(a = "[[[[\" {"))
  expect_error(read(paste0("{\"a\":", strrep("[", 2e5), strrep("]", 2e5), "}")), "x.json.*nested too deeply")
  for (text in c("", "1", "[1]", "{", "nonsense", "\"https://example.invalid\"")) expect_error(read(text), "x.json")
  expect_error(sense:::as_text(as.raw(c(65, 0)), "x"), "not text")
  expect_error(sense:::as_text(as.raw(c(0xff, 0xfe)), "x"), "not text")
  expect_error(sense:::parse_json_lines("{\"a\": 1}\n{", "x.jsonl"), "x.jsonl")
})

test_that("no line of a vignette or of the report begins with an inline result", {
  # Markdown takes a line that begins with "94." for a list item and drops the number.
  sources <- c(
    list.files("../../vignettes", "[.](Rmd|child)$", full.names = TRUE),
    list.files("../../inst/report", "[.]Rmd$", full.names = TRUE),
    list.files(system.file("doc", package = "sense"), "[.]Rmd$", full.names = TRUE),
    list.files(system.file("report", package = "sense"), "[.]Rmd$", full.names = TRUE)
  )
  skip_if(!length(sources))
  for (path in sources) {
    lines <- readLines(path, encoding = "UTF-8")
    expect_false(any(grepl("^\\s*`r ", lines)), info = path)
    expect_false(any(grepl("^\\s*[0-9]+[.)] ", lines[cumsum(grepl("^```", lines)) %% 2 == 0])), info = path)
  }
})

test_that("each object prints on one screen, without pixels or weights", {
  run <- system.file("extdata", "mnist-demo", "sense", package = "sense")
  fit <- read_sense_fit(run)
  evaluation <- read_sense_evaluation(run)
  other <- system.file("extdata", "mnist-demo", "nt", package = "sense")
  clusters <- three_clusters(200, seed = 1)
  linear <- fit_linear_at(clusters, "sense", iterations = 3)
  pixels <- array(0.5, c(2, 28, 28, 1))
  examples <- structure(
    list(
      table = data.frame(
        image = 0:1, class = "3", prediction = "3", probability = 0.9, attacked = "5",
        attacked_probability = 0.6
      ),
      x = pixels, x_adv = pixels, model = "sense",
      attack = list(label = "PGD-5 x 1", eps = 0.3, norm = "inf")
    ),
    class = "sense_examples"
  )
  shown <- list(
    fit, evaluation, examples, clusters, linear, sense_control(threads = 2), accuracies(c(run, other)),
    compare_sense(run, other), bayes_rule(), linear_classifier(c(1, 0))
  )
  for (object in shown) {
    lines <- utils::capture.output(print(object))
    expect_lte(length(lines), 30)
    expect_lte(max(nchar(lines)), 200)
  }
  expect_lte(length(utils::capture.output(print(summary(fit)))), 90)
  expect_lte(length(utils::capture.output(print(summary(evaluation)))), 60)
})
