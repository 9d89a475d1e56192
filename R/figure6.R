#' Figure 6: boundaries during adversarial training
#'
#' Trains with R-AT and SENSE-AT on one simulated data set. Draws, at some iterations, the
#' training points as moved by the adversary, and the boundary of the model. [plot_path()] shows
#' all iterations.
#'
#' @param iterations Iterations to show; 0 is the start.
#' @param setting,c,gamma As in [fit_linear_at()]; `eps = gamma * sigma`. The paper's own
#'   setting moves the boundary too little to show anything, so `"large-step"` is used.
#' @param fits A named list of trained classifiers to draw side by side in place of the iterations: fits
#'   of [train_sense()] on `y ~ x1 + x2` with the network `"mlp"` or `"linear"`, of [fit_linear_at()], or any
#'   classifier of [simulate_risk()]. Each panel has the boundary and the measured risks. `iterations`,
#'   `setting` and `c` are not used then.
#' @param draws Number of draws for the risks of `fits` without a closed form.
#' @inheritParams three_clusters
#' @return A ggplot.
#' @source Kim and Wang, figure 6.
#' @family figures of the paper
#' @examples
#' figure6(n = 300, iterations = c(0, 299, 300))
#'
#' # A stored network beside a linear classifier.
#' run <- system.file("extdata", "three-clusters", "sense", package = "sense")
#' clusters <- three_clusters(300, seed = 1)
#' line <- fit_linear_at(clusters, "sense", setting = "large-step", iterations = 50)
#' figure6(fits = list(network = read_sense_fit(run), linear = line), n = 300, draws = 200)
#' @export
figure6 <- function(iterations = c(0, 100, 299, 300), setting = "large-step", p = 0.55, m = 7,
                    sigma = 0.2, gamma = 8, c = 0.9, n = 5000, seed = 1, fits = NULL,
                    draws = 2000) {
  gamma <- check_number(gamma, min = 0)
  draws <- check_count(draws)
  if (!is.null(fits)) {
    law <- check_law(p, m, sigma)
    n <- check_count(n)
    seed <- check_count(seed, min = 0, allow_null = TRUE)
    return(plot_classifiers(fits, law, gamma * law$sigma, n, draws, seed))
  }
  data <- three_clusters(n, p, m, sigma, seed)
  fits <- lapply(c("r-at", "sense"), function(method) {
    fit_linear_at(data, method, c = c, eps = gamma * sigma, setting = setting)
  })
  last <- fits[[1]]$options$iterations
  if (!plain_numbers(iterations) || !length(iterations) || !all(iterations %in% 0:last)) {
    abort(c("{.arg iterations} must hold whole numbers from 0 to {last}.",
            "x" = "You gave {describe(iterations)}."))
  }
  frames <- unlist(lapply(fits, function(fit) {
    lapply(iterations, function(i) list(fit = fit, iteration = i))
  }), recursive = FALSE)
  motion <- lapply(fits, boundary_motion)
  plot_training_frames(frames, data) +
    wrapped_caption(sprintf(paste(
      "Points: the training data as moved by the adversary of each method. Grey ellipses, with the",
      "sign of the class: 99.9%% of each cluster before the attack. SENSE-AT moves a point at most to",
      "p = c, so its points lie along a line. The two axes have different scales. Setting \"%s\", p = %g, eps = %.3g, c = %g. In the last 100 iterations the boundary of",
      "R-AT changes its type %d times and its angle by %.0f degrees, that of SENSE-AT %d times and by",
      "%.2f degrees."), setting, p, gamma * sigma, c,
      motion[[1]]$changes, motion[[1]]$turn, motion[[2]]$changes, motion[[2]]$turn))
}

# One panel per frame, a row per method: moved points and boundary.
plot_training_frames <- function(frames, data) {
  x <- as_points(data, "data")
  y <- as_labels(if (is.data.frame(data)) data[["y"]], nrow(x), "data$y")
  shown <- seq_len(min(nrow(x), 600))
  at <- function(frame) {
    v <- frame$fit$path[frame$iteration + 1, ]
    list(model = linear_classifier(v[2:3], v[1]), method = method_label(frame$fit$method),
         panel = sprintf("iteration %d", frame$iteration))
  }
  panels <- unique(vapply(frames, function(f) at(f)$panel, ""))
  tag <- function(d, a) {
    d$method <- factor(rep(a$method, nrow(d)), c("NT", "R-AT", "SENSE-AT"))
    d$panel <- factor(rep(a$panel, nrow(d)), panels) # no row: the boundary is outside the window
    d
  }
  points <- do.call(rbind, lapply(frames, function(frame) {
    a <- at(frame)
    tag(cbind(moved_points(frame$fit, a$model, x, y)[shown, ], class = class_factor(y[shown])), a)
  }))
  clusters <- unmoved_clusters(frames[[1]]$fit$law)
  limits <- lapply(c("x1", "x2"), function(axis) {
    c(-1, 1) * (max(abs(points[[axis]]), abs(clusters$rings[[axis]])) + 0.2)
  })
  lines <- do.call(rbind, lapply(frames, function(frame) {
    a <- at(frame)
    tag(line_in_window(a$model, max(unlist(limits))), a)
  }))
  ggplot2::ggplot(points, ggplot2::aes(.data$x1, .data$x2)) +
    clusters$layers +
    ggplot2::geom_point(ggplot2::aes(shape = .data$class, colour = .data$class), size = 1, alpha = 0.7) +
    ggplot2::geom_line(data = lines, linewidth = 0.8) +
    ggplot2::facet_grid(method ~ panel) +
    ggplot2::scale_colour_manual(values = class_colours(), name = "class") +
    ggplot2::scale_shape_manual(values = c(`-1` = 1, `+1` = 4), name = "class") +
    ggplot2::guides(colour = ggplot2::guide_legend(override.aes = list(size = 2.5, alpha = 1))) +
    # Different scales: the adversary moves points along x1 mostly, which is the shorter axis.
    ggplot2::coord_cartesian(xlim = limits[[1]], ylim = limits[[2]], expand = FALSE) +
    ggplot2::labs(x = expression(x[1]), y = expression(x[2])) +
    sense_theme() +
    wrapped_caption("Points: the training data as moved by the adversary of the method.",
                    "Grey ellipses, with the sign of the class: 99.9% of each cluster before the attack.",
                    width = min(100, 55 * length(panels)))
}

# The clusters before the attack: the ellipses and the layers that draw them; none for data that were
# not simulated here.
unmoved_clusters <- function(law) {
  if (is.null(law)) return(NULL)
  centres <- cluster_centres(law$m)
  radius <- cluster_radius(law$sigma)
  rings <- do.call(rbind, lapply(rownames(centres), function(k) circle_path(centres[k, ], radius, k)))
  # The signs tell the classes apart where points lie too close for their shapes to.
  signs <- data.frame(centres, sign = c("+", "+", "-"))
  list(
    rings = rings,
    layers = list(
      ggplot2::geom_path(data = rings, ggplot2::aes(group = .data$id), colour = "grey60", linewidth = 0.4),
      ggplot2::geom_text(data = signs, ggplot2::aes(label = .data$sign), colour = "grey30", size = 3.5)
    )
  )
}

moved_points <- function(fit, model, x, y) {
  adversary <- choose_adversary(fit$method, if (is.na(fit$c)) 1 else fit$c, fit$eps, fit$K,
                                fit$boundary, fit$norm)
  slope <- dual_norm(model$w, fit$norm)
  u <- steepest_direction(model$w, fit$norm)
  way <- if (slope > 0) adversary$lower(y * linear_score(model, x), slope) / slope else 0
  moved <- y * way
  data.frame(x1 = x[, 1] - moved * u[1], x2 = x[, 2] - moved * u[2])
}

#' Angle of the boundary at every iteration
#'
#' @param fits A list of fits of [fit_linear_at()], one panel per fit. Names of the list head the panels.
#' @return A ggplot: the angle between the normal of the boundary and the x1 axis against the
#'   iteration, with a shape for each [boundary_type()].
#' @examples
#' data <- three_clusters(300, seed = 1)
#' plot_path(list(fit_linear_at(data, "r-at", setting = "large-step"),
#'                fit_linear_at(data, "sense", setting = "large-step")))
#' @family functions of the Three Clusters
#' @export
plot_path <- function(fits) {
  if (inherits(fits, "linear_at")) fits <- list(fits)
  if (!is.list(fits) || !length(fits) || !all(vapply(fits, inherits, TRUE, "linear_at"))) {
    abort(c("{.arg fits} must be a list of fits of {.fn fit_linear_at}.",
            "x" = "You gave {describe(fits)}."))
  }
  panels <- path_panels(fits)
  path <- do.call(rbind, lapply(seq_along(fits), function(i) {
    fit <- fits[[i]]
    data.frame(iteration = seq_len(nrow(fit$path)) - 1, angle = boundary_angle(fit$path),
               type = boundary_type(fit$path, height_of(fit)), panel = factor(panels[i], panels))
  }))
  steepest <- unique(vapply(fits, function(fit) atan2(height_of(fit), 2) * 180 / pi, 0))
  ggplot2::ggplot(path, ggplot2::aes(.data$iteration, .data$angle)) +
    ggplot2::geom_line(linewidth = 0.2, colour = "grey60") +
    ggplot2::geom_point(ggplot2::aes(shape = .data$type, colour = .data$type), size = 1) +
    ggplot2::facet_wrap(~panel, scales = "free_x") +
    ggplot2::scale_shape_manual(values = type_shapes(), name = "boundary") +
    ggplot2::scale_colour_manual(values = type_colours(), name = "boundary") +
    ggplot2::scale_y_continuous(limits = c(-180, 180), breaks = seq(-180, 180, by = 90)) +
    ggplot2::guides(shape = ggplot2::guide_legend(override.aes = list(size = 2.5))) +
    ggplot2::labs(x = "iteration", y = "angle of the boundary's normal (degrees)") +
    sense_theme() +
    wrapped_caption(sprintf(paste(
      "At 0 degrees the boundary is vertical, as that of sign(x1).%s",
      "A flat row of one symbol is a boundary that has settled."),
      if (length(steepest) == 1) sprintf(paste(
        " The lines halfway between C and A, and C and B, are at %.0f and -%.0f degrees."), steepest, steepest) else ""))
}

# A head for each fit: its name in the list, or its method and setting; the options that fits of the same
# head differ by, and a number if they differ by none.
path_panels <- function(fits) {
  heads <- vapply(fits, function(fit) sprintf("%s, setting \"%s\"", method_label(fit$method), fit$setting), "")
  options <- data.frame(do.call(rbind, lapply(fits, function(fit) {
    data.frame(c = fit$c, eps = fit$eps, boundary = fit$boundary %||% NA, norm = as.character(fit$norm))
  })))
  differences <- option_labels(heads, options)
  heads <- ifelse(nzchar(differences), paste(heads, differences, sep = ", "), heads)
  if (!is.null(names(fits))) heads <- ifelse(nzchar(names(fits)), names(fits), heads)
  again <- heads %in% heads[duplicated(heads)]
  heads[again] <- paste0(heads[again], ", fit ", seq_along(fits)[again])
  unname(heads)
}

type_shapes <- function() stats::setNames(c(16, 2, 6, 0, 4), boundary_types())
type_colours <- function() {
  stats::setNames(c("black", "#1F5A96", "#B2541A", "#5A8F3C", "grey50"), boundary_types())
}
