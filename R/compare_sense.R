#' Compare networks on the same images
#'
#' Two networks that were evaluated on the same images are compared image by
#' image: the exact test of McNemar (1947) asks whether one is right more often
#' where they disagree. Its p-values are adjusted by Holm's method (1979) over
#' all rows of the table, and each difference has the score interval of Tango
#' (1998), see [paired_interval()], which is not adjusted. Pure R.
#'
#' The tests cover the drawing of test images only. How accuracies vary with the
#' seed of training is another matter, and is kept apart: networks that differ by
#' their seed alone get the mean and the standard deviation of their accuracies.
#' Their images are the same, so their counts are never added up.
#'
#' @param ... Two or more evaluations: what [evaluate_sense()] or
#'   [read_sense_evaluation()] gave, folders of evaluated runs, or fits whose
#'   folder holds an evaluation. Or one list of them. Names label them.
#' @param level Confidence level of the intervals.
#' @param x,object A `sense_comparison`.
#' @param row.names,optional Not used.
#' @param type `"difference"` for the differences with their intervals,
#'   `"accuracy"` for the accuracies side by side, `"curve"` for those by radius.
#' @return A `sense_comparison`, a list of
#'   * `pairs`: a data frame with a row for each two networks and each attack that
#'     both stood under with the same options: `attack`, `label`, `first`,
#'     `second`, `n` images, `both`, `only_first`, `only_second`, `neither` (how
#'     many are right), `difference` of the accuracies, `lower`, `upper`, `p` and
#'     `p_holm`;
#'   * `seeds`: a data frame with a row for each group of networks that differ by
#'     their seed alone, and attack: `group`, `attack`, `label`, `networks`,
#'     `mean`, `sd`; `NULL` without such a group;
#'   * `evaluations`, by label, and `level`.
#'
#'   `as.data.frame()` gives `pairs`.
#' @examples
#' runs <- system.file("extdata", "mnist-demo", package = "sense")
#' comparison <- compare_sense(file.path(runs, "r-at"), file.path(runs, "sense"))
#' comparison
#' autoplot(comparison)
#' @export
compare_sense <- function(..., level = 0.95) {
  check_level(level)
  given <- list(...)
  if (length(given) == 1 && identical(class(given[[1]]), "list")) given <- given[[1]]
  evaluations <- as_evaluations(given, level, "...")
  if (length(evaluations) < 2) {
    cli::cli_abort("A comparison needs two evaluations or more, not {length(evaluations)}.")
  }
  check_comparable(evaluations)
  structure(
    list(
      pairs = paired_table(evaluations, level), seeds = seed_table(evaluations),
      evaluations = evaluations, level = level
    ),
    class = "sense_comparison"
  )
}

# The same images, with the same labels, in the same ball, and attacks of the same options.
check_comparable <- function(evaluations, call = parent.frame()) {
  first <- evaluations[[1]]
  for (name in names(evaluations)[-1]) {
    other <- evaluations[[name]]
    if (!identical(images_of(first), images_of(other)) || other_data(first, other)) {
      cli::cli_abort(
        c(
          "{.val {names(evaluations)[1]}} and {.val {name}} were not evaluated on the same images with the same labels, so they cannot be compared in pairs.",
          x = "They are {describe_images(first$data)}, and {describe_images(other$data)}.",
          i = "Evaluate them with the same {.arg n}, {.arg draw} and data."
        ),
        call = call
      )
    }
    unlike <- unlike_options(first, other)
    if (length(unlike)) {
      cli::cli_abort(
        "{.val {names(evaluations)[1]}} and {.val {name}} were evaluated with other options: {unlike}. Evaluate them alike.",
        call = call
      )
    }
  }
}

# Images and labels, in the order of their position: a draw may have them in any.
images_of <- function(evaluation) {
  outcomes <- evaluation$outcomes
  natural <- outcomes[outcomes$attack == "natural", c("image", "label")]
  natural <- natural[order(natural$image), ]
  as.list(natural)
}

other_data <- function(first, other) {
  hashes <- c(first$data$sha256, other$data$sha256)
  length(hashes) == 2 && hashes[1] != hashes[2]
}

# "steps of pgd (100, not 10)"
unlike_options <- function(first, other) {
  common <- c("eps", "norm", "seed", "batch", "cascade")
  found <- unlike(first$options[common], other$options[common], "")
  for (attack in intersect(names(first$attacks), names(other$attacks))) {
    costs <- c("label", "attacked", "seconds")
    one <- first$attacks[[attack]]
    two <- other$attacks[[attack]]
    found <- c(found, unlike(
      one[setdiff(names(one), costs)], two[setdiff(names(two), costs)], paste(" of", attack)
    ))
  }
  found
}

unlike <- function(one, two, of) {
  both <- intersect(names(drop_null(one)), names(drop_null(two)))
  differ <- both[!mapply(identical, one[both], two[both])]
  told <- function(part) vapply(part[differ], format, "")
  sprintf("%s%s (%s, not %s)", differ, rep(of, length(differ)), told(one), told(two))
}

paired_table <- function(evaluations, level) {
  couples <- utils::combn(names(evaluations), 2, simplify = FALSE)
  rows <- lapply(couples, function(couple) {
    paired_rows(evaluations[[couple[1]]], evaluations[[couple[2]]], couple, level)
  })
  table <- do.call(rbind, rows)
  table$p_holm <- stats::p.adjust(table$p, "holm")
  table
}

paired_rows <- function(first, second, names, level) {
  one <- sorted_right(first)
  two <- sorted_right(second)
  attacks <- intersect(colnames(one), colnames(two))
  # The worst case over other attacks is another thing.
  if (!setequal(colnames(one), colnames(two))) attacks <- setdiff(attacks, "worst")
  one <- one[, attacks, drop = FALSE]
  two <- two[, attacks, drop = FALSE]
  only_first <- colSums(one & !two)
  only_second <- colSums(two & !one)
  data.frame(
    attack = attacks, label = labels_for(first, attacks),
    first = names[1], second = names[2], n = nrow(one),
    both = colSums(one & two), only_first = only_first, only_second = only_second,
    neither = colSums(!one & !two),
    paired_interval(only_first, only_second, nrow(one), level),
    p = mapply(mcnemar_exact, only_first, only_second),
    row.names = NULL
  )
}

sorted_right <- function(evaluation) {
  right <- with_worst(right_matrix(evaluation$outcomes), evaluation$attacks, evaluation$options)
  right[order(as.numeric(rownames(right))), , drop = FALSE]
}

labels_for <- function(evaluation, attacks) {
  evaluation$accuracy$label[match(attacks, evaluation$accuracy$attack)]
}

# McNemar's exact test: of the images that tell the two apart, each has half.
mcnemar_exact <- function(only_first, only_second) {
  n <- only_first + only_second
  if (n == 0) 1 else stats::binom.test(only_first, n)$p.value
}

# Mean and sd of the accuracies of networks that differ by their seed alone.
seed_table <- function(evaluations) {
  groups <- split(evaluations, vapply(evaluations, training_but_seed, ""))
  groups <- groups[vapply(groups, several_seeds, logical(1))]
  rows <- lapply(groups, function(group) {
    tables <- lapply(group, `[[`, "accuracy")
    attacks <- Reduce(intersect, lapply(tables, `[[`, "attack"))
    estimates <- vapply(tables, function(table) {
      table$estimate[match(attacks, table$attack)]
    }, numeric(length(attacks)))
    estimates <- matrix(estimates, nrow = length(attacks))
    data.frame(
      group = sprintf("%s, %s", group[[1]]$target$method, group[[1]]$target$model),
      attack = attacks, label = labels_for(group[[1]], attacks), networks = length(group),
      mean = rowMeans(estimates), sd = apply(estimates, 1, stats::sd)
    )
  })
  if (length(rows)) do.call(rbind, c(unname(rows), list(make.row.names = FALSE)))
}

# All options of the training but the seed and those that only say where it ran, which the run
# itself names; what is unknown is like nothing else.
training_but_seed <- function(evaluation) {
  config <- evaluation$target$config
  if (is.null(config)) {
    return(paste("unknown", evaluation$folder))
  }
  config <- training_options_of(evaluation)
  as.character(jsonlite::toJSON(config, auto_unbox = TRUE, null = "null", digits = NA))
}

training_options_of <- function(evaluation) {
  config <- evaluation$target$config
  config[sort(setdiff(names(config), c("seed", unlist(evaluation$target$runtime_options))))]
}

# Networks of one method and model that are not seeds of one training, and the options they differ
# by: a line for each two groups.
apart_lines <- function(evaluations) {
  known <- Filter(function(one) !is.null(one$target$config), evaluations)
  silent <- names(known)[vapply(known, function(one) is.null(one$target$runtime_options), TRUE)]
  c(
    if (length(silent)) {
      sprintf(
        "%s: an older run, which does not say which options only tell where it ran; all are compared",
        paste(silent, collapse = ", ")
      )
    },
    parted_lines(known)
  )
}

parted_lines <- function(known) {
  keys <- vapply(known, training_but_seed, "")
  groups <- split(names(known), factor(keys, unique(keys)))
  if (length(groups) < 2) {
    return(character())
  }
  couples <- utils::combn(unname(groups), 2, simplify = FALSE)
  unlist(lapply(couples, function(couple) {
    one <- training_options_of(known[[couple[[1]][1]]])
    two <- training_options_of(known[[couple[[2]][1]]])
    if (!identical(one$method, two$method) || !identical(one$model, two$model)) {
      return(NULL)
    }
    options <- union(names(one), names(two))
    differ <- options[!vapply(options, function(name) identical(one[[name]], two[[name]]), TRUE)]
    sprintf(
      "%s: no other seed of %s, for %s", paste(couple[[2]], collapse = ", "),
      paste(couple[[1]], collapse = ", "), paste(differ, collapse = ", ")
    )
  }))
}

several_seeds <- function(group) {
  length(unique(vapply(group, function(one) format(one$target$config$seed %||% ""), ""))) > 1
}
