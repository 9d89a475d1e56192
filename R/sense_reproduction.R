#' A reproduced experiment of the paper
#'
#' The result of [reproduce_sense()]: the accuracies of networks that this package trained, the numbers
#' of the paper, and the verdict on each claim of the paper about them. Plain R data.
#'
#' Two things vary: the training, over its seeds, and the test images, which are a sample. They are
#' shown separately. Wilson's interval is for the test images; with several seeds it is taken at their mean
#' accuracy. Accuracy under an attack is an upper bound of robust accuracy.
#'
#' A row agrees (`agrees`) if the paper's number is between the lowest and the highest limit of the
#' intervals of all seeds, or overlaps them with its own interval where the number of its test images is
#' known. Collapsed networks are left out, unless all seeds have collapsed. At the scale `"cpu"`
#' networks are smaller, or trained more shortly, than those of the paper, so numbers need not agree.
#' Claims compare networks with each other. A verdict, `"holds"`, `"does not hold"` or `"open"`, comes
#' from exact tests and intervals for the networks of this result.
#'
#' @param x,object A `sense_reproduction`.
#' @param level Confidence level of the intervals.
#' @param ... Not used.
#' @return A `sense_reproduction` is a list of
#'   * `name`, `place`, `title` and `scale`;
#'   * `rows`: a data frame with a row for each network and attack: the options of training, `seed`,
#'     `attack` and `attack_label`, `source` (the method of the network that a transfer attack was made
#'     on), `k` correct of `n` images, `accuracy`, `lower`, `upper`; whether the network `collapsed`,
#'     that is, predicts one class for nearly all images; the share of training images in stage C at the
#'     end, `stage_c`; and `seconds_training`;
#'   * `paper`: a data frame with the numbers of the paper, as shares from 0 to 1;
#'   * `claims`: a data frame with the `text` of each claim, its `place`, the `verdict` and the
#'     `evidence`;
#'   * `shortened`: a data frame of the options that differ from those of the paper;
#'   * `missing`: names of networks that are not trained or evaluated yet;
#'   * `seconds` of `training` and `attacks`, on one core; `data` with SHA-256 sums, and `provenance`.
#'
#'   For figures 2 to 6 it has the picture, `figure`, instead.
#'
#'   `summary()` returns a list of class `summary.sense_reproduction` with the table `rows`: one for
#'   each training and attack, with the number of `seeds` and how many of them `collapsed`; the `mean`
#'   accuracy over the others (over all if all collapsed), the `lowest` and `highest`, and the interval
#'   for `n` test images from `lower` to `upper`; and the number of the `paper`. `as.data.frame()` returns `rows` of the object itself.
#' @seealso [autoplot.sense_reproduction()]
#' @examples
#' reproduce_sense("fig2", cells = 60)
#' @family functions to reproduce the paper
#' @name sense_reproduction
NULL

#' @rdname sense_reproduction
#' @export
print.sense_reproduction <- function(x, ...) {
  if (!is.null(x$figure)) {
    cat(sprintf("<sense_reproduction> %s: %s\nautoplot() draws it.\n", x$name, x$title))
    return(invisible(x))
  }
  print_reproduction_header(x)
  counts <- table(factor(x$claims$verdict, verdicts))
  counts <- counts[counts > 0]
  cat(sprintf(
    "Claims: %s.\n", if (length(counts)) toString(paste(counts, names(counts))) else "none"
  ))
  rows <- beside_paper(rows_over_seeds(x$rows), x$paper)
  known <- !is.na(rows$agrees)
  if (any(known)) {
    cat(sprintf("Numbers of the paper: %d, of which %d agree.\n", sum(known), sum(rows$agrees[known] == "yes")))
  }
  cat("summary() has the rows and the evidence, autoplot() draws them.\n")
  invisible(x)
}

print_reproduction_header <- function(x) {
  cat(sprintf("<sense_reproduction> %s, scale %s: %s\n", x$name, x$scale, x$title))
  if (!identical(x$place, "not in the paper")) cat(sprintf("%s of Kim and Wang\n", capitalised(x$place)))
  runs <- x$rows[!duplicated(x$rows$cell), ]
  count <- function(n, what) sprintf("%d %s%s", n, what, if (n == 1) "" else "s")
  cat(sprintf(
    "%s, %s; on one core, training takes %s, attacks %s\n", count(nrow(runs), "network"),
    count(length(unique(runs$seed)), "seed"), time_words(x$seconds$training), time_words(x$seconds$attacks)
  ))
  if (length(x$missing)) cat(sprintf("Incomplete: %s missing.\n", count(length(x$missing), "network")))
}

# "35 s", "12 min", "3.4 h"
time_words <- function(seconds) {
  if (is.null(seconds)) {
    return("an unknown time")
  }
  unit <- if (seconds < 90) 1 else if (seconds < 5400) 2 else 3
  sprintf("%.2g %s", seconds / c(1, 60, 3600)[unit], c("s", "min", "h")[unit])
}

capitalised <- function(text) paste0(toupper(substr(text, 1, 1)), substring(text, 2))

#' @rdname sense_reproduction
#' @export
summary.sense_reproduction <- function(object, level = 0.95, ...) {
  check_level(level)
  check_has_rows(object)
  object$header <- utils::capture.output(print_reproduction_header(object))
  object$rows <- beside_paper(rows_over_seeds(object$rows, level), object$paper)
  object$level <- level
  structure(object, class = "summary.sense_reproduction")
}

#' @export
print.summary.sense_reproduction <- function(x, ...) {
  cat(x$header, "", sep = "\n")
  print_cells(reproduction_cells(x$rows, x$level))
  cat("\nOver seeds: from the lowest to the highest. Over images: Wilson's interval at the mean.\n")
  if (any(leaves_out(x$rows))) cat("Collapsed networks are left out, unless all seeds have collapsed.\n")
  if (any(!is.na(x$rows$paper))) cat("Agrees: the paper's number is within the intervals of the seeds, or its own overlaps them.\n")
  print_claims(x$claims)
  print_shortened(x$shortened)
  invisible(x)
}

# The rows as text.
reproduction_cells <- function(rows, level) {
  cells <- data.frame(
    network = rows$network, attack = attack_words(rows),
    paper = paper_words(rows),
    ours = paste(percent_number(rows$mean), ifelse(rows$collapsed > 0, collapse_words(rows), "")),
    seeds = ifelse(seeds_in_mean(rows) == 1, "1 seed", sprintf(
      "%.1f to %.1f (%d)", 100 * rows$lowest, 100 * rows$highest, as.integer(seeds_in_mean(rows))
    )),
    images = sprintf("[%.1f, %.1f], n = %d", 100 * rows$lower, 100 * rows$upper, as.integer(rows$n)),
    agrees = ifelse(is.na(rows$agrees), "", rows$agrees)
  )
  names(cells)[5:6] <- c("over seeds", sprintf("over images, %g %%", 100 * level))
  cells[c(TRUE, TRUE, any(!is.na(rows$agrees)), TRUE, TRUE, TRUE, any(!is.na(rows$agrees)))]
}

# "transfer PGD-40 x 10 from TRADES"
attack_words <- function(rows) {
  ifelse(is.na(rows$source), rows$attack_label, sprintf(
    "%s from %s", rows$attack_label, named(rows$source, method_names)
  ))
}

collapse_words <- function(rows) {
  ifelse(rows$seeds == 1, "(collapsed)", sprintf("(%d collapsed)", rows$collapsed))
}

paper_words <- function(rows) {
  number <- ifelse(is.na(rows$paper), "", paste0(format_number(100 * rows$paper), " %"))
  number <- trimws(paste(ifelse(rows$qualifier %in% c(NA, "collapse"), "", rows$qualifier), number))
  number[rows$qualifier %in% "collapse"] <- "collapses"
  other <- !is.na(rows$paper) & rows$paper_label != rows$attack_label
  ifelse(other, sprintf("%s (%s)", number, rows$paper_label), number)
}

format_number <- function(x) vapply(x, format, "", digits = 4, nsmall = 1)

print_claims <- function(claims) {
  if (!nrow(claims)) {
    return(invisible())
  }
  cat("\nClaims\n")
  for (i in seq_len(nrow(claims))) {
    claim <- claims[i, ]
    cat(strwrap(
      sprintf("%s: %s (%s)", claim$verdict, claim$text, claim$place), 78, initial = "  ", prefix = "    "
    ), sep = "\n")
    cat(strwrap(claim$evidence, 78, initial = "      ", prefix = "      "), sep = "\n")
  }
}

print_shortened <- function(shortened) {
  if (!nrow(shortened)) {
    return(invisible())
  }
  cat("\nOther than in the paper\n")
  words <- ifelse(
    shortened$option == "other", shortened$here,
    sprintf("%s: %s (paper: %s)", shortened$option, shortened$here, ifelse(nzchar(shortened$paper), shortened$paper, "none"))
  )
  cat(unlist(lapply(words, strwrap, width = 78, initial = "  ", prefix = "    ")), sep = "\n")
}

#' @rdname sense_reproduction
#' @param row.names,optional Not used.
#' @export
as.data.frame.sense_reproduction <- function(x, row.names = NULL, optional = FALSE, ...) {
  check_has_rows(x)
  x$rows
}

# Figures 2 to 6 have no networks.
check_has_rows <- function(object, call = parent.frame()) {
  if (!is.null(object$figure)) {
    abort("{.val {object$name}} is a figure without numbers of networks: {.code autoplot()} draws it.", call = call)
  }
}
