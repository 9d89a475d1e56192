#' Pictures of a reproduced experiment
#'
#' The networks of the package beside the numbers of the paper (hollow diamonds). Points are seeds of
#' training. Bars are Wilson intervals at the mean over seeds: they are for the choice of test images.
#'
#' @param object,x A [sense_reproduction].
#' @param type What to draw:
#'   * `"accuracy"`: the accuracy of each network under each attack;
#'   * `"c"`: the accuracy against c, with R-AT and NT as horizontal lines;
#'   * `"epochs"`: the accuracy, and the share of training images in stage C, against the number of epochs;
#'   * `"attacks"`: PGD beside AutoAttack, for each network;
#'   * `"transfer"`: the matrix of transfer attacks;
#'   * `"loss"`, `"worst-case"`: the convergence of PGD, as in [autoplot.sense_evaluation()], with a
#'     panel for each seed.
#'
#'   Default: what the paper shows, `"c"` for figure 7 and table 5, `"transfer"` for table 4,
#'   `"worst-case"` for figures 8 and 9, and otherwise `"accuracy"`.
#' @param level Confidence level of the intervals.
#' @param ... Not used.
#' @return A ggplot.
#' @examples
#' autoplot(reproduce_sense("fig2", cells = 60))
#' @family functions to reproduce the paper
#' @export
autoplot.sense_reproduction <- function(object, type = NULL, level = 0.95, ...) {
  check_level(level)
  if (!is.null(object$figure)) {
    return(object$figure)
  }
  type <- check_choice(type %||% shown_in_paper(object$name), reproduction_types)
  if (type %in% c("loss", "worst-case")) {
    return(plot_reproduced_convergence(object, type, level))
  }
  rows <- beside_paper(rows_over_seeds(object$rows, level), object$paper)
  if (type != "transfer") rows <- without_diagonal(rows)
  draw <- switch(type,
    accuracy = plot_reproduced_accuracy, c = plot_by_c, epochs = plot_by_epochs,
    attacks = plot_pgd_beside_autoattack, transfer = plot_transfer
  )
  draw(object, rows) + reproduction_caption(object, rows, level, type) + sense_theme() +
    ggplot2::theme(legend.box = "vertical", legend.spacing.y = ggplot2::unit(0, "pt"))
}

#' @rdname autoplot.sense_reproduction
#' @export
plot.sense_reproduction <- function(x, ...) plot_object(x, ...)

reproduction_types <- c("accuracy", "c", "epochs", "attacks", "transfer", "loss", "worst-case")

shown_in_paper <- function(name) {
  switch(name, fig7 = , table5 = "c", table4 = "transfer", fig8 = , fig9 = "worst-case", "accuracy")
}

# Without the PGD of the diagonal of the transfer matrix, if there is another PGD: only the networks of
# the matrix have it.
without_diagonal <- function(rows) {
  is_pgd <- rows$attack == "pgd" & is.na(rows$source)
  is_diagonal <- is_pgd & rows$attack_label %in% diagonal_labels(rows)
  if (all(is_diagonal[is_pgd])) rows else rows[!is_diagonal, ]
}

diagonal_labels <- function(rows) sub("^transfer ", "", rows$attack_label[!is.na(rows$source)])

# A row for each method, a panel for each attack and, in rows, each network.
plot_reproduced_accuracy <- function(object, rows) {
  rows <- rows[is.na(rows$source), ]
  seeds <- matched_seeds(object$rows, rows)
  panels <- function(table) {
    table$method_label <- factor(method_labels(table), rev(unique(method_labels(rows))))
    table$variant <- factor(variant_labels(table), unique(variant_labels(rows)))
    table$attack_label <- factor(table$attack_label, unique(rows$attack_label))
    table
  }
  attacks <- length(unique(rows$attack_label))
  rows <- panels(rows)
  ggplot2::ggplot(rows, ggplot2::aes(.data$mean, .data$method_label)) +
    ggplot2::geom_errorbar(ggplot2::aes(xmin = .data$lower, xmax = .data$upper), width = 0.3, linewidth = 0.5) +
    seed_points(panels(seeds), ggplot2::aes(.data$accuracy, .data$method_label), colour = series_colours[1], position = ggplot2::position_nudge(y = 0.3)) +
    paper_points(rows, ggplot2::aes(.data$paper, .data$method_label), colour = series_colours[2]) +
    point_scale(seeds, rows, c(series_colours[1], series_colours[1], series_colours[2])) +
    (if (nlevels(rows$variant) > 1) {
      ggplot2::facet_grid(
        ggplot2::vars(.data$variant), ggplot2::vars(.data$attack_label), scales = "free_y", space = "free_y",
        labeller = ggplot2::labeller(.rows = function(x) wrap_name(x, 12))
      )
    } else {
      facet_attacks("attack_label", ncol = if (attacks == 3) 3 else 2)
    }) +
    accuracy_axis(if (attacks > 2) 0.5 else 0.2) +
    ggplot2::labs(x = "correctly classified test images", y = NULL)
}

point_shapes <- c(seed = 16, "seed, collapsed" = 4, paper = 5)

# A point for each seed, a cross if the network predicts one class.
seed_points <- function(seeds, aes, ...) {
  aes <- utils::modifyList(aes, ggplot2::aes(shape = ifelse(.data$collapsed, "seed, collapsed", "seed")))
  ggplot2::geom_point(aes, seeds, size = 1.5, ...)
}

paper_points <- function(rows, aes, ...) {
  known <- rows[!is.na(rows$paper), ]
  if (!nrow(known)) {
    return(NULL)
  }
  aes <- utils::modifyList(aes, ggplot2::aes(shape = "paper"))
  ggplot2::geom_point(aes, known, size = 2.2, stroke = 0.9, ...)
}

# The shapes of the points that are drawn; in the legend in these colours.
point_scale <- function(seeds, rows, colours = rep("black", 3)) {
  shown <- c(any(!seeds$collapsed), any(seeds$collapsed), any(!is.na(rows$paper)))
  ggplot2::scale_shape_manual(
    values = point_shapes, breaks = names(point_shapes)[shown], name = NULL,
    guide = ggplot2::guide_legend(order = 2, override.aes = list(colour = colours[shown], linetype = "blank"))
  )
}

# The single networks of the rows that are shown.
matched_seeds <- function(all, shown) {
  all[group_key(all, row_columns) %in% group_key(shown, row_columns), ]
}

plot_by_c <- function(object, rows) {
  rows <- rows[is.na(rows$source) & common_epochs(rows), ]
  is_curve <- rows$method == "sense"
  if (length(unique(rows$c[is_curve])) < 2) refuse_type(object, "c", "SENSE-AT with two or more values of c")
  rows$series <- labels_without_c(rows)
  curves <- rows[is_curve, ]
  others <- rows[rows$method %in% c("r-at", "nt", "trades"), ]
  labels <- unique(c(curves$series, others$series))
  seeds <- matched_seeds(object$rows, curves)
  seeds$series <- curves$series[match(group_key(seeds, training_columns), group_key(curves, training_columns))]
  at_end <- max(curves$c) + 0.06 # where the paper's numbers of methods without c are
  shown <- rbind(curves, others)
  tables <- in_attack_order(list(curves = curves, others = others, seeds = seeds, shown = shown), rows$attack_label)
  draw_by_c(tables, labels, at_end)
}

# Labels of the lines: one for each option that differs, but c and the network, which has its own panel.
labels_without_c <- function(rows) {
  rows$c[rows$method == "sense"] <- NA
  rows$model <- ""
  network_labels(rows)
}

in_attack_order <- function(tables, attacks) {
  lapply(tables, function(table) {
    table$attack_label <- factor(table$attack_label, unique(attacks))
    table
  })
}

draw_by_c <- function(tables, labels, at_end) {
  curves <- tables$curves
  attacks <- nlevels(curves$attack_label)
  ggplot2::ggplot(curves, ggplot2::aes(.data$c, .data$mean, colour = .data$series, linetype = .data$series)) +
    ggplot2::geom_hline(
      ggplot2::aes(yintercept = .data$mean, colour = .data$series, linetype = .data$series), tables$others
    ) +
    interval_bars() +
    line_of_several(curves$c) +
    seed_points(tables$seeds, ggplot2::aes(.data$c, .data$accuracy)) +
    paper_points(tables$shown, ggplot2::aes(ifelse(is.na(.data$c), at_end, .data$c), .data$paper)) +
    point_scale(tables$seeds, tables$shown) +
    series_scales(labels)[c(1, 3)] +
    (if (length(unique(curves$model)) > 1) {
      ggplot2::facet_grid(ggplot2::vars(.data$attack_label), ggplot2::vars(.data$model))
    } else {
      facet_attacks("attack_label", ncol = if (attacks == 3) 3 else 2)
    }) +
    share_axis(ggplot2::scale_y_continuous) +
    ggplot2::labs(x = "c", y = "correctly classified test images")
}

# The rows with the number of epochs that most networks of the table have.
common_epochs <- function(rows) {
  counts <- table(rows$epochs)
  rows$epochs == as.numeric(names(counts)[which.max(counts)])
}

plot_by_epochs <- function(object, rows) {
  rows <- rows[is.na(rows$source), ]
  rows$series <- method_labels(rows)
  several <- names(which(tapply(rows$epochs, rows$series, function(x) length(unique(x))) > 1))
  rows <- rows[rows$series %in% several, ]
  if (!nrow(rows)) refuse_type(object, "epochs", "a method with two or more numbers of epochs")
  seeds <- matched_seeds(object$rows, rows)
  columns <- c("epochs", "series", "attack_label", "mean", "lower", "upper")
  points <- data.frame(
    seeds[c("epochs", "attack_label", "collapsed")], series = method_labels(seeds), mean = seeds$accuracy
  )
  stages <- stage_panel(rows)
  tables <- in_attack_order(
    list(
      curves = rbind(rows[columns], stages), collapsed = points[points$collapsed, ],
      points = rbind(points[!points$collapsed, columns[1:4]], stages[columns[1:4]])
    ),
    c(rows$attack_label, stages$attack_label)
  )
  ggplot2::ggplot(
    tables$curves,
    ggplot2::aes(.data$epochs, .data$mean, colour = .data$series, linetype = .data$series, shape = .data$series)
  ) +
    interval_bars(na.rm = TRUE) +
    line_of_several(tables$curves$epochs) +
    ggplot2::geom_point(data = tables$points, size = 1.5) +
    ggplot2::geom_point(data = tables$collapsed, shape = point_shapes[["seed, collapsed"]], size = 1.5) +
    facet_attacks("attack_label") +
    ggplot2::scale_x_continuous(trans = "log2", breaks = sort(unique(rows$epochs))) +
    share_axis(ggplot2::scale_y_continuous) +
    series_scales(several) +
    ggplot2::labs(x = "epochs", y = NULL)
}

# The share of training images in stage C as a panel beside those of the attacks.
stage_panel <- function(rows) {
  rows <- rows[!is.na(rows$stage_c) & rows$attack == "natural", ]
  data.frame(
    epochs = rows$epochs, series = rows$series, attack_label = rep("training images in stage C", nrow(rows)),
    mean = rows$stage_c, lower = rep(NA_real_, nrow(rows)), upper = rep(NA_real_, nrow(rows))
  )
}

# PGD and AutoAttack joined by a line: its length is what PGD overstates.
plot_pgd_beside_autoattack <- function(object, rows) {
  rows <- rows[rows$attack %in% c("pgd", "autoattack") & is.na(rows$source), ]
  both <- tapply(rows$attack, rows$network, function(x) all(c("pgd", "autoattack") %in% x))
  rows <- rows[rows$network %in% names(which(both)), ]
  if (!nrow(rows)) refuse_type(object, "attacks", "networks under PGD and AutoAttack")
  rows$network <- factor(rows$network, rev(unique(rows$network)))
  ggplot2::ggplot(rows, ggplot2::aes(.data$mean, .data$network)) +
    ggplot2::geom_line(ggplot2::aes(group = .data$network), colour = "grey50") +
    ggplot2::geom_point(ggplot2::aes(colour = .data$attack_label, shape = .data$attack_label), size = 2) +
    series_scales(unique(rows$attack_label))[1:2] +
    accuracy_axis() +
    ggplot2::labs(x = "correctly classified test images", y = NULL)
}

plot_transfer <- function(object, rows) {
  moved <- rows[!is.na(rows$source), ]
  if (!nrow(moved)) refuse_type(object, "transfer", "transfer attacks")
  rows <- rbind(moved, own_attacks(rows, moved))
  columns <- c("method", "source", "accuracy")
  ours <- stats::setNames(rows[c("method", "source", "mean")], columns)
  paper <- stats::setNames(rows[!is.na(rows$paper), c("method", "source", "paper")], columns)
  shown <- rbind(cbind(ours, of = "this package"), if (nrow(paper)) cbind(paper, of = "paper"))
  order <- named(unique(c(rows$method, rows$source)), method_names)
  shown$method <- factor(named(shown$method, method_names), rev(order))
  shown$source <- factor(named(shown$source, method_names), order)
  shown$of <- factor(shown$of, unique(shown$of))
  ggplot2::ggplot(shown, ggplot2::aes(.data$source, .data$method, fill = .data$accuracy)) +
    ggplot2::geom_tile(colour = "white") +
    ggplot2::geom_text(ggplot2::aes(label = sprintf("%.1f", 100 * .data$accuracy)), size = 3) +
    ggplot2::scale_fill_gradient(low = "white", high = series_colours[7], limits = c(0, 1), guide = "none") +
    ggplot2::facet_wrap(ggplot2::vars(.data$of)) +
    ggplot2::scale_x_discrete(guide = ggplot2::guide_axis(angle = 30)) +
    ggplot2::coord_cartesian(expand = FALSE) +
    ggplot2::labs(x = "attack made on", y = "attacked network")
}

# PGD on the networks that transfer attacks are made on: if there are several, that with as many steps.
own_attacks <- function(rows, moved) {
  own <- rows[rows$attack == "pgd" & is.na(rows$source), ]
  own <- own[group_key(own, training_columns) %in% group_key(moved, training_columns), ]
  same <- own$attack_label %in% diagonal_labels(moved)
  own <- own[order(!same), ]
  own <- own[!duplicated(group_key(own, training_columns)), ]
  own$source <- own$method
  own
}

plot_reproduced_convergence <- function(object, type, level) {
  curves <- if (type == "loss") object$loss else object$worst_case
  if (is.null(curves)) refuse_type(object, type, "a traced PGD, as figures 8 and 9 have it")
  attack <- sprintf("PGD-%d", max(curves$step))
  title <- paste0(network_labels(object$rows[1, ]), ", ", object$rows$model[1])
  if (type == "loss") draw_losses(curves, attack, title) else {
    draw_worst_case(with_intervals(curves, level), attack, title, level)
  }
}

refuse_type <- function(object, type, needed, call = parent.frame(2)) {
  abort(
    c("{.code type = \"{type}\"} needs {needed}, which {.val {object$name}} at the scale {.val {object$scale}} does not have.",
      i = "The types are {.val {reproduction_types}}."),
    call = call
  )
}

reproduction_caption <- function(object, rows, level, type) {
  n <- unique(rows$n)
  models <- unique(object$rows$model)
  wrapped_caption(
    sprintf("%s, scale %s", object$name, object$scale),
    sprintf("(%s).", toString(utils::head(models, 4))),
    switch(type,
      transfer = "Accuracy in per cent; on the diagonal the attack on the network itself.",
      attacks = "Means over seeds.",
      sprintf(
        "Points: seeds. Bars: %g %% Wilson intervals at the mean, for the choice of the n = %s test images.",
        100 * level, paste(sort(n), collapse = " or ")
      )
    ),
    if (any(leaves_out(rows)) && type != "transfer") "Means leave out collapsed networks.",
    if (any(rows$collapsed > 0) && type == "epochs") "Crosses: collapsed networks.",
    if (any(!is.na(rows$paper)) && type %in% c("accuracy", "c")) "Diamonds: the numbers of the paper."
  )
}
