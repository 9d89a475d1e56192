#' Compare networks on the same images
#'
#' Compares networks that were evaluated on the same images. For each pair, the exact test of McNemar
#' (1947) takes the images that only one of the two networks classifies correctly. Its p-values are
#' adjusted by Holm's method (1979) over all rows of the table. Each difference has the score interval
#' of Tango (1998), see [paired_interval()], which is not adjusted. Needs no Python.
#'
#' The tests cover the sampling of test images only, not the variation between training runs.
#' Networks that differ by their seed alone are therefore shown with the mean and the standard
#' deviation of their accuracies. Their counts are never added up, since their images are the same.
#'
#' @param ... Two or more evaluations: results of [evaluate_sense()] or [read_sense_evaluation()],
#'   folders of evaluated runs, or fits whose folder holds an evaluation. Or one list of them. Their
#'   names are used as labels.
#' @param level Confidence level of the intervals.
#' @param x,object A `sense_comparison`.
#' @param row.names,optional Not used.
#' @param type `"difference"` draws the differences with their intervals, `"accuracy"` the accuracies
#'   side by side, `"curve"` the accuracies by radius.
#' @return A `sense_comparison`, a list of
#'   * `pairs`: a data frame with a row for each pair of networks and each attack that both were
#'     evaluated with: `attack`, `label`, `first`, `second`, the number `n` of images, the numbers
#'     that `both`, `only_first`, `only_second` and `neither` classify correctly, the `difference` of
#'     the accuracies, `lower`, `upper`, `p` and `p_holm`;
#'   * `seeds`: a data frame with a row for each attack and each group of networks that differ by
#'     their seed alone: `group`, `attack`, `label`, `networks`, `mean`, `sd`; `NULL` without such a
#'     group;
#'   * `evaluations`, by label, and `level`.
#'
#'   `as.data.frame()` returns `pairs`.
#' @examples
#' runs <- system.file("extdata", "mnist-demo", package = "sense")
#' comparison <- compare_sense(file.path(runs, "r-at"), file.path(runs, "sense"))
#' comparison
#' autoplot(comparison)
#' @family functions to evaluate
#' @export
compare_sense <- function(..., level = 0.95) {
  check_level(level)
  given <- list(...)
  if (length(given) == 1 && identical(class(given[[1]]), "list")) given <- given[[1]]
  evaluations <- as_evaluations(given, level, "...")
  if (length(evaluations) < 2) {
    abort("A comparison needs at least two evaluations, not {length(evaluations)}: give more.")
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

# The images, their labels, the ball and the options of the attacks must be the same.
check_comparable <- function(evaluations, call = parent.frame()) {
  first <- evaluations[[1]]
  for (name in names(evaluations)[-1]) {
    other <- evaluations[[name]]
    if (!identical(images_and_labels(first), images_and_labels(other)) || has_other_data(first, other)) {
      abort(
        c(
          "{.val {names(evaluations)[1]}} and {.val {name}} were not evaluated on the same images with the same labels, so they cannot be compared in pairs.",
          x = "The images are {describe_images(first$data)}, and {describe_images(other$data)}.",
          i = "Evaluate both with the same {.arg n}, {.arg draw} and data."
        ),
        call = call
      )
    }
    differing <- differing_options(first, other)
    if (length(differing)) {
      abort(
        "{.val {names(evaluations)[1]}} and {.val {name}} were evaluated with different options: {differing}. Evaluate both with the same options.",
        call = call
      )
    }
  }
}

# Images and labels in the order of the data set. Images that were drawn may be in any order.
images_and_labels <- function(evaluation) {
  outcomes <- evaluation$outcomes
  natural <- outcomes[outcomes$attack == "natural", c("image", "label")]
  natural <- natural[order(natural$image), ]
  as.list(natural)
}

has_other_data <- function(first, other) {
  hashes <- c(first$data$sha256, other$data$sha256)
  length(hashes) == 2 && hashes[1] != hashes[2]
}

# "steps of pgd (100, not 10)"
differing_options <- function(first, other) {
  common <- c("eps", "norm", "seed", "cascade")
  found <- differences(first$options[common], other$options[common], "")
  for (attack in intersect(names(first$attacks), names(other$attacks))) {
    costs <- c("label", "attacked", "seconds")
    one <- first$attacks[[attack]]
    two <- other$attacks[[attack]]
    found <- c(found, differences(
      one[setdiff(names(one), costs)], two[setdiff(names(two), costs)], paste(" of", attack)
    ))
  }
  found
}

differences <- function(one, two, of) {
  both <- intersect(names(drop_null(one)), names(drop_null(two)))
  differ <- both[!mapply(identical, one[both], two[both])]
  shown <- function(part) vapply(part[differ], format, "")
  sprintf("%s%s (%s, not %s)", differ, rep(of, length(differ)), shown(one), shown(two))
}

paired_table <- function(evaluations, level) {
  pairs <- utils::combn(names(evaluations), 2, simplify = FALSE)
  rows <- lapply(pairs, function(pair) {
    paired_rows(evaluations[[pair[1]]], evaluations[[pair[2]]], pair, level)
  })
  table <- do.call(rbind, rows)
  table$p_holm <- stats::p.adjust(table$p, "holm")
  table
}

paired_rows <- function(first, second, names, level) {
  one <- sorted_correct(first)
  two <- sorted_correct(second)
  attacks <- intersect(colnames(one), colnames(two))
  # Worst cases over different attacks cannot be compared.
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

sorted_correct <- function(evaluation) {
  correct <- with_worst_case(correct_matrix(evaluation$outcomes), evaluation$attacks, evaluation$options)
  correct[order(as.numeric(rownames(correct))), , drop = FALSE]
}

labels_for <- function(evaluation, attacks) {
  evaluation$accuracy$label[match(attacks, evaluation$accuracy$attack)]
}

# McNemar's exact test: under the null hypothesis each network has half of the images that only one
# of them classifies correctly.
mcnemar_exact <- function(only_first, only_second) {
  n <- only_first + only_second
  if (n == 0) 1 else stats::binom.test(only_first, n)$p.value
}

# Mean and sd of the accuracies of networks that differ by their seed alone.
seed_table <- function(evaluations) {
  groups <- split(evaluations, vapply(evaluations, training_key, ""))
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

# All options of the training but the seed and those that only say where it ran, which the run itself
# names. A network whose training is unknown has a key of its own.
training_key <- function(evaluation) {
  config <- evaluation$target$config
  if (is.null(config)) {
    return(paste("unknown", evaluation$folder))
  }
  config <- training_options_without_seed(evaluation)
  as.character(jsonlite::toJSON(config, auto_unbox = TRUE, null = "null", digits = NA))
}

training_options_without_seed <- function(evaluation) {
  config <- evaluation$target$config
  config[sort(setdiff(names(config), c("seed", unlist(evaluation$target$runtime_options))))]
}

# Networks of one method and model that do not differ by their seed alone, and the options that they
# differ by: a line for each pair of groups.
seed_notes <- function(evaluations) {
  known <- Filter(function(one) !is.null(one$target$config), evaluations)
  older <- names(known)[vapply(known, function(one) is.null(one$target$runtime_options), TRUE)]
  c(
    if (length(older)) {
      sprintf(
        "%s: an older run, which does not name the options that only say where it ran; all are compared",
        paste(older, collapse = ", ")
      )
    },
    option_notes(known)
  )
}

option_notes <- function(known) {
  keys <- vapply(known, training_key, "")
  groups <- split(names(known), factor(keys, unique(keys)))
  if (length(groups) < 2) {
    return(character())
  }
  pairs <- utils::combn(unname(groups), 2, simplify = FALSE)
  unlist(lapply(pairs, function(pair) {
    one <- training_options_without_seed(known[[pair[[1]][1]]])
    two <- training_options_without_seed(known[[pair[[2]][1]]])
    if (!identical(one$method, two$method) || !identical(one$model, two$model)) {
      return(NULL)
    }
    options <- union(names(one), names(two))
    differ <- options[!vapply(options, function(name) identical(one[[name]], two[[name]]), TRUE)]
    sprintf(
      "%s and %s differ not only by their seed: %s", paste(pair[[1]], collapse = ", "),
      paste(pair[[2]], collapse = ", "), paste(differ, collapse = ", ")
    )
  }))
}

several_seeds <- function(group) {
  length(unique(vapply(group, function(one) format(one$target$config$seed %||% ""), ""))) > 1
}
