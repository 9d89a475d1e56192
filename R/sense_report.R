#' A report of evaluations, as one page
#'
#' Writes an HTML page with the accuracies and their intervals, the diagnostics of the
#' evaluations, the differences between runs, and the pictures. The page is one
#' file that loads nothing else. `python -m sense.report RUN` writes the same
#' page, with adversarial images too.
#'
#' Needs the packages rmarkdown and knitr, and pandoc; not Python.
#'
#' @param folders Folders of evaluated runs, or a list of results of [evaluate_sense()]. Their
#'   names name the runs, as in [accuracies()].
#' @param out The file to write. Default for a single evaluation: `report.html` in its folder.
#' @param level Confidence level of the intervals.
#' @return The path of the page, invisibly.
#' @examples
#' if (requireNamespace("rmarkdown", quietly = TRUE) && rmarkdown::pandoc_available()) {
#'   runs <- system.file("extdata", "mnist-demo", c("nt", "sense"), package = "sense")
#'   sense_report(runs, file.path(tempdir(), "nt-and-sense.html"))
#' }
#' @family functions to evaluate
#' @export
sense_report <- function(folders, out = NULL, level = 0.95) {
  check_path(out)
  check_level(level)
  check_report_tools()
  evaluations <- as_evaluations(folders, level)
  if (is.null(out)) {
    if (length(evaluations) > 1) {
      abort("A report of several evaluations needs a file to write: pass {.arg out}.")
    }
    out <- file.path(evaluations[[1]]$folder, "report.html")
  }
  if (!dir.exists(dirname(out))) {
    abort(
      "The report cannot be written: there is no folder {.file {dirname(out)}}. Give the file to write as {.arg out}.",
      class = "sense_file_error"
    )
  }
  comparison <- tryCatch(
    if (length(evaluations) > 1) compare_sense(evaluations, level = level),
    rlang_error = function(e) cli::ansi_strip(conditionMessage(e))
  )
  failed <- is.character(comparison)
  render_report(out, list(
    evaluations = evaluations, level = level, examples = stored_examples(evaluations),
    comparison = if (!failed) comparison, not_comparable = if (failed) comparison
  ))
  invisible(out)
}

# Stops with one line on what to install.
check_report_tools <- function(call = parent.frame()) {
  packages <- c("rmarkdown", "knitr")
  absent <- packages[!vapply(packages, requireNamespace, logical(1), quietly = TRUE)]
  if (length(absent)) {
    remedy <- sprintf("install.packages(%s)", paste(deparse(absent), collapse = ""))
    abort(
      "The report needs {.pkg {absent}}: run {.code {remedy}} in R.",
      call = call
    )
  }
  if (!rmarkdown::pandoc_available("2.0")) {
    abort(
      "The report needs pandoc 2.0 or newer: install it from {.url https://pandoc.org} (Debian: {.code apt install pandoc}).",
      call = call
    )
  }
}

# Renders in a temporary folder, then moves the page, so that an interrupted report leaves no part.
render_report <- function(out, content, call = parent.frame()) {
  work <- tempfile("report-")
  dir.create(work)
  on.exit(unlink(work, recursive = TRUE))
  file.copy(list.files(system.file("report", package = "sense"), full.names = TRUE), work)
  made <- rmarkdown::render(
    file.path(work, "report.Rmd"),
    output_format = rmarkdown::html_document(
      theme = NULL, highlight = NULL, mathjax = NULL, self_contained = TRUE, css = "report.css",
      md_extensions = "-smart-markdown_in_html_blocks" # what cells hold is text
    ),
    envir = list2env(content, parent = asNamespace("sense")), quiet = TRUE
  )
  write_atomically(out, readBin(made, "raw", file.size(made)), call)
}

# Adversarial images that are stored beside the evaluations, of the same weights.
stored_examples <- function(evaluations) {
  found <- lapply(evaluations, function(one) {
    if (run_has(one$folder, "examples.json")) {
      examples <- adversarial_examples(one$folder)
      if (identical(examples$weights_sha256, one$target$weights_sha256)) examples
    }
  })
  drop_null(found)
}

# Heights of pictures in inches.
accuracy_height <- function(evaluations) {
  attacks <- length(unique(unlist(lapply(evaluations, function(one) one$accuracy$label))))
  networks <- length(evaluations)
  if (networks == 1) 1.4 + 0.25 * attacks else 1.6 + (if (attacks <= 4) 0.18 else 0.09) * attacks * networks
}

difference_height <- function(comparison) {
  if (is.null(comparison)) {
    return(1) # evaluated by knitr even if the chunk is not run
  }
  couples <- unique(wrap_name(pair_labels(comparison$pairs)))
  lines <- max(lengths(strsplit(couples, "\n")))
  attacks <- length(unique(comparison$pairs$label))
  2.1 + ceiling(attacks / 2) * (0.4 + (0.05 + 0.14 * lines) * length(couples))
}

# "3 checks: 1 warned, 1 passed, 1 skipped."
diagnostics_caption <- function(diagnostics) {
  count <- function(verdict) sum(diagnostics$verdict == verdict)
  sprintf(
    "%d checks: %d warned, %d passed, %d skipped.",
    nrow(diagnostics), count("warning"), count("ok"), count("skipped")
  )
}

# "steps = 100, restarts = 5, eps = 0.3, norm = inf"
option_words <- function(attack) {
  own <- drop_null(attack[setdiff(names(attack), "label")])
  paste(names(own), vapply(own, format, ""), sep = " = ", collapse = ", ")
}
