#' Natural and robust accuracy of evaluated runs, side by side
#'
#' Reads the `outcomes.csv` that `python -m sense.evaluate` wrote into each run:
#' a row per test image and attack. Pure R.
#'
#' @param folders Folders of evaluated runs. Their names, if they have any, are
#'   used as labels, else each run's method.
#' @param level Confidence level of the Wilson intervals.
#' @param x,object What `accuracies()` gave.
#' @param ... Not used.
#' @return A data frame of class `sense_accuracies` with a row per run and
#'   attack: `run`, `method`, `model`, `data`, `attack` (`"natural"` is none),
#'   `k` correct of `n`, `estimate`, `lower`, `upper`.
#' @examples
#' runs <- system.file("extdata", "mnist-demo", package = "sense")
#' accuracies(list.dirs(runs, recursive = FALSE))
#' @export
accuracies <- function(folders, level = 0.95) {
  if (!is.character(folders) || !length(folders)) {
    cli::cli_abort("{.arg folders} must be the paths of evaluated runs.")
  }
  rows <- lapply(seq_along(folders), function(i) {
    one_run(folders[[i]], label = names(folders)[i], level = level)
  })
  table <- do.call(rbind, rows)
  table$run <- factor(table$run, unique(table$run))
  structure(table, class = c("sense_accuracies", "data.frame"))
}

one_run <- function(folder, label, level, call = parent.frame(2)) {
  outcomes <- read_outcomes(folder, call)
  description <- jsonlite::read_json(file.path(folder, "config.json"))
  evaluation <- jsonlite::read_json(file.path(folder, "evaluation.json"))
  attacks <- unique(outcomes$attack)
  k <- vapply(attacks, function(a) sum(outcomes$correct[outcomes$attack == a]), numeric(1))
  n <- vapply(attacks, function(a) sum(outcomes$attack == a), numeric(1))
  method <- method_name(description$config)
  cbind(
    run = if (is.null(label) || !nzchar(label)) method else label,
    method = method, model = description$config$model, data = description$data$name,
    attack = vapply(evaluation$attacks[attacks], function(a) a$label, ""),
    wilson_interval(k, n, level),
    row.names = NULL
  )
}

read_outcomes <- function(folder, call = parent.frame()) {
  path <- file.path(folder, c("outcomes.csv", "outcomes.csv.gz"))
  path <- path[file.exists(path)]
  if (!length(path)) {
    cli::cli_abort(
      "{.file {folder}} has no {.file outcomes.csv}: run {.code python -m sense.evaluate {folder}} first.",
      call = call
    )
  }
  utils::read.csv(path[1])
}

method_name <- function(config) {
  switch(config$method,
    nt = "NT", "r-at" = "R-AT", sense = sprintf("SENSE-AT (c = %g)", config$c),
    "sense-trades" = sprintf("SENSE-TRADES (c = %g)", config$c),
    trades = "TRADES", mart = "MART", mma = "MMA", iaat = "IAAT",
    config$method
  )
}

#' @rdname accuracies
#' @export
print.sense_accuracies <- function(x, ...) {
  cells <- data.frame(x$run, x$model, x$attack, format_interval(x), stringsAsFactors = FALSE)
  names(cells) <- c("method", "model", "attack", "accuracy, 95 % interval (k / n)")
  print(format(cells, justify = "left"), row.names = FALSE, right = FALSE)
  invisible(x)
}

#' @rdname accuracies
#' @export
autoplot.sense_accuracies <- function(object, ...) {
  shown <- as.data.frame(object)
  shown$attack <- factor(shown$attack, unique(shown$attack))
  apart <- ggplot2::position_dodge(width = 0.5)
  ggplot2::ggplot(
    shown, ggplot2::aes(.data$estimate, .data$run, shape = .data$attack)
  ) +
    ggplot2::geom_linerange(
      ggplot2::aes(xmin = .data$lower, xmax = .data$upper), position = apart
    ) +
    ggplot2::geom_point(size = 2.5, position = apart) +
    ggplot2::geom_text(
      ggplot2::aes(label = sprintf("%.1f %%", 100 * .data$estimate)),
      position = apart, hjust = -0.35, size = 3
    ) +
    ggplot2::scale_x_continuous(
      limits = c(0, 1), breaks = seq(0, 1, 0.2), labels = function(p) paste(100 * p, "%"),
      expand = ggplot2::expansion(mult = c(0.02, 0.12))
    ) +
    ggplot2::scale_y_discrete(limits = rev) +
    ggplot2::labs(
      x = "correctly classified test images", y = NULL, shape = NULL,
      caption = sprintf(
        "%s on %s, n = %d test images; bars: 95 %% Wilson intervals.",
        paste(unique(shown$model), collapse = ", "), paste(unique(shown$data), collapse = ", "),
        as.integer(shown$n[1])
      )
    ) +
    ggplot2::theme_bw() +
    ggplot2::theme(legend.position = "top")
}
