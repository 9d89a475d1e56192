#' Natural and robust accuracy of evaluated runs, side by side
#'
#' Counts the outcomes that `python -m sense.evaluate` or [evaluate_sense()] left
#' for each test image and attack. Pure R.
#'
#' @param folders Folders of evaluated runs, or a list of what [evaluate_sense()]
#'   or [read_sense_evaluation()] gave. Their names, if they have any, are used
#'   as labels, else each network's method.
#' @param level Confidence level of the Wilson intervals.
#' @param x,object What `accuracies()` gave.
#' @param ... Not used.
#' @return A data frame of class `sense_accuracies` with a row per run and
#'   attack: `run`, `method`, `model`, `data`, `attack` (`"natural"` is none; the
#'   worst attack of each image where there are two or more), `k` correct of
#'   `n`, `estimate`, `lower`, `upper`.
#' @seealso [compare_sense()], which tests the differences.
#' @examples
#' runs <- system.file("extdata", "mnist-demo", package = "sense")
#' accuracies(list.dirs(runs, recursive = FALSE))
#' @export
accuracies <- function(folders, level = 0.95) {
  check_level(level)
  evaluations <- as_evaluations(folders, level)
  rows <- lapply(names(evaluations), function(name) {
    one <- evaluations[[name]]
    cbind(
      run = name, method = one$target$method, model = one$target$model, data = one$data$name,
      attack = one$accuracy$label, one$accuracy[c("k", "n", "estimate", "lower", "upper")]
    )
  })
  table <- do.call(rbind, rows)
  table$run <- factor(table$run, unique(table$run))
  structure(table, class = c("sense_accuracies", "data.frame"), level = level)
}

# Evaluations from folders, from evaluated fits, or as they are, by name: those given, else each
# network's method, else its folder's too.
as_evaluations <- function(given, level, arg = "folders", call = parent.frame()) {
  if (inherits(given, c("sense_evaluation", "sense_fit"))) given <- list(given)
  if (is.object(given) || !(is.list(given) || is.character(given))) given <- list(NULL)
  good <- vapply(given, function(one) {
    inherits(one, c("sense_evaluation", "sense_fit")) || is_string(one)
  }, logical(1))
  if (!length(given) || !all(good)) {
    cli::cli_abort(
      c("{.arg {arg}} must be the paths of evaluated runs, or what {.fun evaluate_sense} gave.",
        x = "You gave {describe(given)}."),
      call = call
    )
  }
  evaluations <- lapply(given, function(one) {
    if (inherits(one, "sense_evaluation")) {
      at_level(one, level)
    } else {
      as_evaluation(folder_of(one, call), level, call)
    }
  })
  names(evaluations) <- labels_of(evaluations, names(given))
  evaluations
}

folder_of <- function(one, call) {
  if (!inherits(one, "sense_fit")) {
    return(one)
  }
  if (is.null(one$folder) || !run_has(one$folder, "evaluation.json")) {
    cli::cli_abort(
      "This fit was not evaluated, or its folder is gone: give what {.code evaluate_sense(fit)} gives.",
      call = call
    )
  }
  one$folder
}

# The same evaluation with intervals of another level.
at_level <- function(evaluation, level) {
  if (evaluation$level != level) {
    evaluation$accuracy <- accuracy_table(
      evaluation$outcomes, evaluation$attacks, evaluation$options, level
    )
    evaluation$curve <- with_intervals(evaluation$curve, level)
    evaluation$convergence_accuracy <- with_intervals(evaluation$convergence_accuracy, level)
    evaluation$level <- level
  }
  evaluation
}

labels_of <- function(evaluations, given) {
  methods <- vapply(evaluations, function(one) one$target$method, "")
  labels <- if (is.null(given)) rep("", length(evaluations)) else given
  labels <- ifelse(nzchar(labels), labels, methods)
  twice <- labels %in% labels[duplicated(labels)]
  labels[twice] <- sprintf(
    "%s, %s", labels[twice], vapply(evaluations[twice], function(one) basename(one$folder), "")
  )
  make.unique(labels, sep = " ")
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
  cells <- data.frame(x$run, x$model, x$attack, format_interval(x))
  names(cells) <- c(
    "method", "model", "attack",
    sprintf("accuracy, %g %% interval (k / n)", 100 * (attr(x, "level") %||% 0.95))
  )
  print_cells(cells)
  invisible(x)
}

#' @rdname accuracies
#' @export
autoplot.sense_accuracies <- function(object, ...) {
  shown <- as.data.frame(object)
  shown$attack <- factor(shown$attack, unique(shown$attack))
  few <- nlevels(shown$attack) <= 3
  apart <- ggplot2::position_dodge(width = if (few) 0.5 else 0)
  plot <- ggplot2::ggplot(
    shown,
    ggplot2::aes(
      .data$estimate, .data$run,
      shape = if (few) .data$attack, group = -as.integer(.data$attack) # the first above
    )
  ) +
    accuracy_layers(apart, room = if (few) 0.14 else 0.3) +
    ggplot2::scale_y_discrete(limits = rev) +
    ggplot2::labs(
      x = "correctly classified test images", y = NULL, shape = NULL,
      caption = sprintf(
        "%s on %s, n = %s test images; bars: %g %% Wilson intervals.",
        paste(unique(shown$model), collapse = ", "), paste(unique(shown$data), collapse = ", "),
        paste(unique(shown$n), collapse = ", "), 100 * (attr(object, "level") %||% 0.95)
      )
    ) +
    sense_theme() +
    ggplot2::theme(legend.position = "top")
  if (few) plot else plot + ggplot2::facet_wrap(ggplot2::vars(.data$attack), ncol = 2)
}

# An interval, its estimate and the number, on an axis from 0 to 100 % with room for it.
accuracy_layers <- function(position = "identity", room = 0.14) {
  list(
    ggplot2::geom_linerange(
      ggplot2::aes(xmin = .data$lower, xmax = .data$upper), position = position
    ),
    ggplot2::geom_point(size = 2.5, position = position),
    # To the right of the bar, where nothing else is.
    ggplot2::geom_text(
      ggplot2::aes(x = .data$upper, label = sprintf("%.1f %%", 100 * .data$estimate)),
      position = position, hjust = -0.25, size = 3
    ),
    ggplot2::scale_x_continuous(
      limits = c(0, 1), breaks = seq(0, 1, 0.2), labels = percent_label,
      expand = ggplot2::expansion(mult = c(0.04, room))
    )
  )
}

percent_label <- function(p) sprintf("%g %%", round(100 * p, 6))
