stored_copy <- function(from = "mnist-demo/sense") {
  folder <- tempfile("stored-")
  dir.create(folder)
  file.copy(list.files(system.file("extdata", from, package = "sense"), full.names = TRUE), folder)
  folder
}

# A folder with each file that R reads.
whole_folder <- function() {
  folder <- stored_copy()
  add_curves(folder)
  writeLines(as.character(jsonlite::toJSON(list(
    model = "toy", classes = list("a", "b"), shape = list(1L, 1L, 2L),
    attack = list(label = "PGD-10 x 1", eps = 0.25, norm = "inf"),
    images = list(
      image = 0:1, label = 0:1, prediction = 0:1, probability = c(0.5, 0.9), attacked = 0:1,
      attacked_probability = c(0.5, 0.75)
    ),
    x = list(c(0, 0.1), c(1, 0)), x_adv = list(c(0, 0.2), c(1, 0))
  ), auto_unbox = TRUE)), file.path(folder, "examples.json"))
  sealed(folder)
}

# The functions that read each file.
readers <- list(
  "config.json" = list(
    read_sense_fit = read_sense_fit, read_sense_evaluation = read_sense_evaluation,
    accuracies = accuracies, compare_sense = function(folder) compare_sense(folder, folder),
    sense_report = function(folder) sense_report(folder, tempfile()),
    adversarial_examples = function(folder) adversarial_examples(folder, n = 1),
    evaluate_sense = evaluate_sense
  ),
  "metrics.jsonl" = list(read_sense_fit = read_sense_fit),
  "model.safetensors" = list(read_sense_fit = read_sense_fit),
  "evaluation.json" = list(
    read_sense_evaluation = read_sense_evaluation, accuracies = accuracies,
    compare_sense = function(folder) compare_sense(folder, folder)
  ),
  "outcomes.csv.gz" = list(read_sense_evaluation = read_sense_evaluation, accuracies = accuracies),
  "curve.csv" = list(read_sense_evaluation = read_sense_evaluation),
  "convergence.csv" = list(read_sense_evaluation = read_sense_evaluation),
  "convergence_accuracy.csv" = list(read_sense_evaluation = read_sense_evaluation),
  "examples.json" = list(adversarial_examples = adversarial_examples)
)

flip <- function(path, at, to = NULL) {
  bytes <- readBin(path, "raw", file.size(path))
  bytes[at] <- to %||% xor(bytes[at], as.raw(1))
  writeBin(bytes, path)
}

test_that("a flipped bit in any file is refused by every reader, with the file and what to do", {
  for (name in names(readers)) {
    folder <- whole_folder()
    path <- file.path(folder, name)
    flip(path, max(1, file.size(path) %/% 2))
    for (reader in names(readers[[name]])) {
      said <- tryCatch(readers[[name]][[reader]](folder), error = function(e) cli::ansi_strip(conditionMessage(e)))
      expect_match(said[[1]], paste0(name, "' is damaged or was changed"), fixed = TRUE, info = paste(reader, name))
      expect_match(said[[1]], "seal_run(", fixed = TRUE, info = paste(reader, name))
    }
  }
})

test_that("a changed digit is refused until the folder is sealed", {
  folder <- whole_folder()
  path <- file.path(folder, "config.json")
  text <- readLines(path)
  writeLines(sub("\"c\": 0.7", "\"c\": 0.8", text), path)
  expect_error(read_sense_fit(folder), "config.json' is damaged or was changed")
  expect_message(changed <- seal_run(folder), "recorded the present sums of .*config.json")
  expect_equal(changed, "config.json")
  expect_equal(read_sense_fit(folder)$config$c, 0.8)
  expect_message(seal_run(folder), "no file has changed")
})

test_that("a file that is missing, not listed or without a manifest is refused", {
  folder <- whole_folder()
  manifest <- file.path(folder, "manifest.json")
  listed <- readLines(manifest)
  file.remove(file.path(folder, "curve.csv"))
  expect_error(read_sense_evaluation(folder), "curve.csv' is listed in 'manifest.json', but missing")
  file.remove(manifest)
  expect_error(read_sense_fit(folder), "cannot be checked: its folder has no 'manifest.json'.*seal_run")
  bad <- list(
    "{}" = "must have the entries format and files", "[1]" = "JSON object", "{" = "not JSON", "x" = "not JSON",
    '{"format": 2, "files": {}}' = "reads format 1",
    '{"format": 1, "files": {"config.json": {"sha256": "0", "bytes": 1}}}' = "not a valid sum",
    '{"format": 1, "files": {}}' = "does not list it"
  )
  for (text in names(bad)) {
    writeLines(text, manifest)
    expect_error(read_sense_fit(folder), bad[[text]], info = text)
  }
  expect_error(seal_run(tempfile()), "no folder")
  empty <- tempfile()
  dir.create(empty)
  expect_error(seal_run(empty), "no file of a run")
})

test_that("of a file being replaced the old and the new version are accepted, of a growing file its beginning", {
  folder <- whole_folder()
  path <- file.path(folder, "curve.csv")
  entry <- function(bytes) list(sha256 = cli::hash_raw_sha256(bytes), bytes = length(bytes))
  manifest <- jsonlite::read_json(file.path(folder, "manifest.json"))
  before <- readBin(path, "raw", 1e6)
  after <- charToRaw("eps,k,n\n0.1,2,4\n")
  manifest$files[["curve.csv"]] <- c(entry(before), list("next" = entry(after)))
  write_json_file(manifest, file.path(folder, "manifest.json"))
  expect_equal(nrow(read_sense_evaluation(folder)$curve), 3)
  writeBin(after, path)
  expect_equal(read_sense_evaluation(folder)$curve$k, 2)
  writeBin(charToRaw("eps,k,n\n0.1,3,4\n"), path)
  expect_error(read_sense_evaluation(folder), "curve.csv' is damaged")
  manifest$files[["curve.csv"]] <- c(entry(after), list(grows = TRUE))
  write_json_file(manifest, file.path(folder, "manifest.json"))
  writeBin(c(after, charToRaw("0.2,1,")), path)
  expect_equal(read_sense_evaluation(folder)$curve$k, 2)
})

test_that("content is not taken for a URL or a path", {
  for (text in c("https://example.invalid/x.json", "file:///etc/passwd", "/etc/passwd", "\"https://example.invalid\"")) {
    for (name in names(readers)) {
      folder <- whole_folder()
      if (name == "outcomes.csv.gz") {
        file.remove(file.path(folder, name))
        name <- "outcomes.csv"
      }
      writeLines(text, file.path(folder, name))
      sealed(folder)
      if (name == "model.safetensors") next
      for (reader in readers[[sub("csv$", "csv.gz", name)]] %||% readers[[name]]) {
        said <- tryCatch(reader(folder), error = function(e) cli::ansi_strip(conditionMessage(e)))
        expect_type(said, "character")
        if (!is.character(said)) next
        expect_match(said[1], name, fixed = TRUE, info = paste(name, text))
        expect_no_match(said[1], "resolve|connect|root:")
      }
    }
  }
  for (url in c("https://example.invalid/run", "file:///etc")) {
    for (reader in readers[["config.json"]]) expect_error(reader(url), "no folder .*Nothing is downloaded|not the folder of", info = url)
    expect_error(seal_run(url), "Nothing is downloaded")
  }
})

test_that("links, FIFOs, devices and large files are not read", {
  skip_on_os("windows")
  elsewhere <- tempfile()
  folder <- whole_folder()
  path <- file.path(folder, "config.json")
  file.copy(path, elsewhere)
  file.remove(path)
  file.symlink(elsewhere, path)
  expect_error(read_sense_fit(folder), "config.json' is a link")
  file.remove(path)
  file.symlink("/dev/zero", path)
  expect_error(read_sense_fit(folder), "config.json' is a link")
  file.remove(path)
  system2("mkfifo", shQuote(path))
  setTimeLimit(elapsed = 60)
  on.exit(setTimeLimit())
  expect_error(read_sense_fit(folder), "config.json' is damaged or was changed")
  file.remove(path)
  dir.create(path)
  expect_error(read_sense_fit(folder), "config.json' is a folder")
  unlink(path, recursive = TRUE)
  writeLines(strrep(" ", 2^20), path)
  expect_error(read_sense_fit(folder), "at most 1048576 are expected")
})

test_that("R and Python write the same manifest and read each other's", {
  skip_if_no_sense()
  expect_sealed_by_both <- function(folder) {
    theirs <- readBin(file.path(folder, "manifest.json"), "raw", 1e6)
    sealed(folder)
    expect_identical(readBin(file.path(folder, "manifest.json"), "raw", 1e6), theirs)
  }
  python <- function(...) {
    suppressWarnings(system2( # which warns of a refusal
      reticulate::py_config()$python, c(...), stdout = TRUE, stderr = TRUE,
      env = paste0("PYTHONPATH=", shQuote(sense:::python_source()))
    ))
  }
  folder <- whole_folder()
  cat(" \n", file = file.path(folder, "config.json"), append = TRUE)
  python("-m", "sense.seal", shQuote(folder))
  expect_s3_class(read_sense_fit(folder), "sense_fit")
  expect_sealed_by_both(folder)
  cat(" \n", file = file.path(folder, "config.json"), append = TRUE)
  read <- c("-c", shQuote(sprintf("from sense.run_folder import RunFolder; RunFolder('%s').check()", folder)))
  expect_match(python(read), "config.json is damaged, or was changed", all = FALSE)
  sealed(folder)
  expect_length(python(read), 0)
  limits <- python("-c", shQuote("from sense.run_folder import LIMITS; print(*(f'{k} {v}' for k, v in LIMITS.items()), sep=';')"))
  here <- sense:::run_limits()
  expect_equal(sprintf("%s %.0f", names(here), here), strsplit(limits, ";")[[1]])
})

test_that("a fit that was changed in memory or in a file is refused", {
  fit <- read_sense_fit(whole_folder())
  images <- array(0, c(1, 28, 28))
  at <- length(fit$weights) - 3
  other <- list(
    weights = local({ f <- fit; f$weights[at] <- xor(f$weights[at], as.raw(1)); f }),
    description = local({ f <- fit; f$description <- sub("0.7", "0.8", f$description); f })
  )
  for (part in names(other)) {
    file <- tempfile(fileext = ".rds")
    saveRDS(other[[part]], file)
    again <- readRDS(file)
    expect_error(predict(again, images), paste0("damaged or was changed: its .*", part))
    expect_error(evaluate_sense(again, out = tempfile(), n = 1), paste0("changed: its .*", part))
    expect_error(adversarial_examples(again, n = 1), paste0("changed: its .*", part))
  }
  fit$sums <- NULL
  expect_error(predict(fit, images), "has no sums.*seal_run")
  fit$weights <- "a"
  expect_error(predict(seal_run(read_sense_fit(whole_folder())), "a"), "newdata")
  skip_if_no_sense()
  expect_equal(dim(predict(seal_run(other$weights), images, type = "prob")), c(1, 10))
})
